/** The version of the runtime, as in deno.json; a test holds the two together. */
export const runtimeVersion = "0.1.0";
