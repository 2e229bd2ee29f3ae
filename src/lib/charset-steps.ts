/**
 * How long a character is in each multi-byte character set, told from its bytes without decoding: what lets a decoder
 * hold back a character that a piece cuts in two. A lead byte before something that cannot follow it stands alone, so a
 * line feed always ends a line (Java and the WHATWG encoding standard agree).
 */

/** Length in bytes of the character at `at` judged by its structure alone; more than `bytes` has when it is cut; never 0. */
export type Step = (bytes: Buffer, at: number) => number;

export const one: Step = () => 1;

/** Second bytes from `low` make a pair with a lead byte for which `isLead` holds; a lead byte before anything else stands alone (and is bad). */
function pairs(isLead: (byte: number) => boolean, low: number): Step {
  return (bytes, at) => {
    if (!isLead(bytes[at] as number)) return 1;
    const second = bytes[at + 1];
    return second === undefined || second >= low ? 2 : 1;
  };
}

export const above80 = pairs((byte) => byte >= 0x81 && byte <= 0xfe, 0x40);
export const shiftJis = pairs((byte) => (byte >= 0x81 && byte <= 0x9f) || (byte >= 0xe0 && byte <= 0xfc), 0x40);
const eucPair = pairs((byte) => byte === 0x8e || (byte >= 0xa1 && byte <= 0xfe), 0xa1);

export const eucJp: Step = (bytes, at) => {
  if (bytes[at] !== 0x8f) return eucPair(bytes, at);
  const second = bytes[at + 1];
  if (second !== undefined && second < 0xa1) return 1;
  const third = bytes[at + 2];
  return third === undefined || third >= 0xa1 ? 3 : 1;
};

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
const isGbLead = (byte: number): boolean => byte >= 0x81 && byte <= 0xfe;

export const gb18030: Step = (bytes, at) => {
  if (!isGbLead(bytes[at] as number)) return 1;
  const second = bytes[at + 1];
  if (second === undefined || second >= 0x40) return 2;
  if (!isDigit(second)) return 1;
  const third = bytes[at + 2];
  const fourth = bytes[at + 3];
  return (third === undefined || isGbLead(third)) && (fourth === undefined || isDigit(fourth)) ? 4 : 1;
};

export const utf8Step: Step = (bytes, at) => {
  const lead = bytes[at] as number;
  if (lead < 0xc2 || lead > 0xf4) return 1;
  const need = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  for (let i = 1; i < need; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return need;
    if ((byte & 0xc0) !== 0x80) return 1;
    if (i === 1 && ((lead === 0xe0 && byte < 0xa0) || (lead === 0xed && byte > 0x9f) || (lead === 0xf0 && byte < 0x90) || (lead === 0xf4 && byte > 0x8f)))
      return 1;
  }
  return need;
};

export function utf16Step(highByte: 0 | 1): Step {
  return (bytes, at) => {
    const lead = bytes[at + highByte];
    if (lead === undefined || (lead & 0xfc) !== 0xd8) return 2;
    const trail = bytes[at + 2 + highByte];
    return trail === undefined || (trail & 0xfc) === 0xdc ? 4 : 2;
  };
}

export const four: Step = () => 4;
