/** Texts for options, with where each was set. Sources are asked in order and the first that has an option wins. */
import type { OptionKey } from './options.js';

export interface SetText {
  readonly text: string;
  /** For messages: `--origin`, `/etc/x.yaml:12`, `OS_PASSWORD`, `cloud "prod" in /etc/openstack/clouds.yaml`. */
  readonly where: string;
}

export type SourceTexts = ReadonlyMap<OptionKey, SetText>;
