import { expect, test } from 'vitest';
import { archiveIn } from './debian.ts';

test.each([
  ['a line', 'deb http://mirror/debian bookworm main contrib', { uri: 'http://mirror/debian' }],
  [
    'a line with options',
    'deb [arch=amd64 signed-by=/k.gpg] https://mirror/debian/ trixie main',
    { uri: 'https://mirror/debian/', signedBy: '/k.gpg' },
  ],
  [
    'a stanza, after one for security',
    'Types: deb\nURIs: http://mirror/debian-security\nSuites: bookworm-security\nComponents: main\n\nTypes: deb\n# a comment\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n',
    { uri: 'http://mirror/debian', signedBy: '/k.gpg' },
  ],
  ['a stranger', 'deb https://mirror/apt cloud main', undefined],
  ['sources only', 'Types: deb-src\nURIs: http://mirror/other\n', undefined],
  ['nothing', '', undefined],
])('finds the archive in %s', (_, text, archive) => {
  expect(archiveIn(text)).toEqual(archive);
});
