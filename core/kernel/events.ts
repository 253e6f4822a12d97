/**
 * Topics: who subscribed to what. Emitting is synchronous, in the order of
 * subscription, and allocates nothing: the list of a topic is replaced when it
 * changes, never edited, so a round that is under way sees the list it began
 * with (whoever subscribes during it hears the next one; whoever unsubscribes
 * hears nothing more). Both hosts, the real one and the simulator's, use this.
 */
import type { Topic } from "./host.ts";

interface Subscriber {
  readonly handler: (payload: unknown) => unknown;
  active: boolean;
}

/** The subscriptions of one host. */
export class EventHub {
  readonly #topics = new Map<string, readonly Subscriber[]>();
  readonly #failed: (topic: string, error: unknown) => void;

  /** `failed` learns of every subscriber that throws or rejects; it must not throw. */
  constructor(failed: (topic: string, error: unknown) => void) {
    this.#failed = failed;
  }

  /** Tells every subscriber of the topic, now. */
  emit<T>(topic: Topic<T>, payload: NoInfer<T>): void {
    const subscribers = this.#topics.get(topic.id);
    if (subscribers === undefined) return;
    for (const subscriber of subscribers) {
      if (!subscriber.active) continue;
      try {
        const result = subscriber.handler(payload);
        // An async function is assignable to a handler; its failure must not go unhandled.
        if (result instanceof Promise) result.catch((error) => this.#failed(topic.id, error));
      } catch (error) {
        this.#failed(topic.id, error);
      }
    }
  }

  /** Subscribes until disposed. */
  on<T>({ id }: Topic<T>, handler: (payload: T) => void): Disposable {
    const subscriber: Subscriber = {
      handler: handler as (payload: unknown) => unknown,
      active: true,
    };
    this.#topics.set(id, [...(this.#topics.get(id) ?? []), subscriber]);
    return {
      [Symbol.dispose]: () => {
        if (!subscriber.active) return;
        subscriber.active = false;
        const rest = this.#topics.get(id)!.filter((other) => other !== subscriber);
        if (rest.length === 0) this.#topics.delete(id);
        else this.#topics.set(id, rest);
      },
    };
  }
}
