/**
 * What character sets are called: Java's canonical names, its historical aliases, and iconv-lite's labels. Names compare
 * without case, hyphens and underscores (source: java.nio.charset, JDK "Supported Encodings").
 */

/** Java name → label in iconv-lite, of the sets whose characters all take one byte. */
export const singles: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`windows-125${i}`, `windows125${i}`])),
  ...Object.fromEntries([2, 3, 4, 5, 6, 7, 8, 9, 13, 15, 16].map((n) => [`ISO-8859-${n}`, `iso8859${n}`])),
  ...Object.fromEntries([437, 850, 852, 855, 857, 866].map((n) => [`IBM${n}`, `cp${n}`])),
  'KOI8-R': 'koi8r',
  'KOI8-U': 'koi8u',
  'TIS-620': 'tis620',
  'x-windows-874': 'windows874',
};

/** Java's name, then other names that Java knows it by, without `-`, `_` and the like. */
const ALIASES = `
UTF-8 unicode11utf8
ISO-8859-1 latin1 l1 88591 isolatin1 ibm819 cp819
ISO-8859-2 latin2 l2
ISO-8859-3 latin3 l3
ISO-8859-4 latin4 l4
ISO-8859-9 latin5 l5
ISO-8859-15 latin9
US-ASCII ascii ascii7 iso646us ansix341968 646
UTF-16 unicode
UTF-16BE unicodebigunmarked
UTF-16LE unicodelittleunmarked
GBK cp936 ms936 windows936 xmswin936
GB18030 gb180302000 gb180302022
GB2312 gb231280 euccn xeuccn
Big5 cp950 ms950 xwindows950 csbig5
Big5-HKSCS xms950hkscs
Shift_JIS sjis xsjis mskanji windows31j cswindows31j ms932 cp932
EUC-JP ujis xeucjp eucjis
EUC-KR ksc5601 ksc56011987 xwindows949 ms949 cp949 5601
KOI8-R koi8
x-windows-874 ms874 windows874 cp874
`;

/** A name without what Java's users write or leave out at will. */
export function fold(name: string): string {
  return name.toLowerCase().replace(/[-_ :.]/g, '');
}

/** Java's names of all character sets that are known: `multiByte` and {@link singles}, by folded name. */
export function namesByFoldedName(multiByte: readonly string[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const name of [...multiByte, ...Object.keys(singles)]) {
    names.set(fold(name), name);
    names.set(fold(name).replace(/^(windows-?|ibm)(?=\d)/, 'cp'), name);
    names.set(fold(name).replace(/^iso(?=8859\d)/, ''), name);
  }
  for (const line of ALIASES.trim().split('\n')) {
    const [name, ...others] = line.split(' ') as [string, ...string[]];
    for (const other of others) names.set(other, name);
  }
  return names;
}
