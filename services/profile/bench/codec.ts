/**
 * What reading and writing a state costs, as it goes over the log and as it is stored, on the profiles of the memory bench:
 * `node services/profile/bench/codec.ts`. µs of CPU a state: the least, and the median, of 21 rounds after a warm-up.
 */
import { type ProfileState, stateCodec } from '../src/core/state.ts';
import { sampleProfiles } from './samples.ts';

const ROUNDS = 21;
const samples = sampleProfiles();
const plain = samples.map((state) => Buffer.from(stateCodec.encode(state)));
const packed = samples.map((state) => Buffer.from(stateCodec.pack(state)));
const read = (bytes: Buffer): ProfileState => {
  const state = stateCodec.decode(bytes);
  // Every event asks for its timer.
  void state.computed?.nextMs;
  return state;
};
const opened = packed.map(read);

const bytes = (all: readonly Buffer[]) => all.reduce((sum, one) => sum + one.length, 0) / all.length;
console.log(`bytes: encoded ${bytes(plain)}, packed ${bytes(packed)}`);
measure('decode encoded', () => plain.forEach(read));
measure('decode packed', () => packed.forEach(read));
measure('encode', () => opened.forEach((state) => void stateCodec.encode(state)));
measure('pack', () => opened.forEach((state) => void stateCodec.pack(state)));
measure('decode and encode', () => plain.forEach((one) => void stateCodec.encode(read(one))));
measure('unpack and pack', () => packed.forEach((one) => void stateCodec.pack(read(one))));

function measure(what: string, work: () => void): void {
  for (let i = 0; i < 4; i++) work();
  const rounds = Array.from({ length: ROUNDS }, () => {
    const before = process.cpuUsage().user;
    work();
    return (process.cpuUsage().user - before) / samples.length;
  }).sort((a, b) => a - b);
  console.log(`${what}: ${rounds[0]?.toFixed(2)} ${rounds[ROUNDS >> 1]?.toFixed(2)}`);
}
