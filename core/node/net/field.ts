/**
 * zod pieces for addresses in configurations. As with core/kernel/config.ts, only modules that
 * write their schemas in zod import this file.
 */
import { z } from "zod";
import { parseAddress } from "../peers/address.ts";
import { parseHostPort } from "./address.ts";

/** A text that a parser takes. What the parser throws is what is wrong with it, unless `message` says it. */
const parsable = (parse: (text: string) => unknown, message?: string): z.ZodString =>
  z.string().check(({ value, issues }) => {
    try {
      parse(value);
    } catch (error) {
      issues.push({ code: "custom", input: value, message: message ?? (error as Error).message });
    }
  });

/** A field for where to listen: `host:port`, with brackets around an IPv6 host; without a host, every interface. */
export const bindField = (): z.ZodString =>
  parsable(
    (text) => parseHostPort(text),
    "must be host:port, with brackets around an IPv6 host and a port of at most 65535",
  );

/** A field for what can be dialled: `host:port` or `scheme://host:port`. */
export const addressField = (): z.ZodString => parsable(parseAddress);
