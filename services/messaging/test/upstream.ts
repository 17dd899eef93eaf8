import { Event } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { Effects, Input, Processor, StageSpec } from '#lib/stream/processor.ts';

/** What an event asks for when its name is this: its properties are the bytes of a SendRequest. */
export const ASK = 'Ask Messaging';

class Silent implements Processor<string> {
  process(): undefined {
    return undefined;
  }
}

/** Stands for journey: asks for a message when an event says so. */
class Asking implements Processor<string> {
  process(_state: string | undefined, input: Input, _ctx: unknown, out: Effects): undefined {
    if (input.kind !== RecordKind.RECORD_KIND_EVENT) return;
    const event = Event.decode(input.body);
    if (event.name === ASK) out.emit(RecordKind.RECORD_KIND_SEND, Buffer.from(event.propertiesJson));
  }
}

const codec = {
  encode: (state: string) => Buffer.from(state),
  decode: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
};

/** The stages messaging waits for. */
export const profile: StageSpec<string> = { stage: 'profile', codec, processor: new Silent() };
export const segmentation: StageSpec<string> = { stage: 'segmentation', codec, processor: new Silent() };
export const journey: StageSpec<string> = { stage: 'journey', codec, processor: new Asking() };
