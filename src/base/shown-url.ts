/** URLs as they may be printed: one may carry a password of its own (`https://user:pw@keystone`). */
const PASSWORD = /(:\/\/[^/?#\s:@]*:)[^/?#\s]*@/;
/** Of what is no URL, perhaps because of the very signs in its password. */
const PERHAPS_PASSWORD = /(:\/\/[^/?#\s:@]*:)[^\s"]*@/g;

export const MASK = '********';

/** @param text a URL, or what was given for one */
export function withoutPassword(text: string): string {
  return text.replace(URL.canParse(text) ? PASSWORD : PERHAPS_PASSWORD, `$1${MASK}@`);
}
