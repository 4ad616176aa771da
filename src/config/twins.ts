/**
 * Options that say one thing in two ways, by id and by name. A login takes the id where both are set, so a source that says either drops
 * both from the sources after it: Horizon's openrc sets OS_PROJECT_ID, and `--project-name other` must not end up in that project. Within one
 * source both may stand.
 */
import type { OptionKey } from './options.js';
import type { SetText, SourceTexts } from './source.js';

const TWINS: readonly (readonly [id: OptionKey, name: OptionKey])[] = [
  ['projectId', 'projectName'],
  ['userId', 'username'],
  ['userDomainId', 'userDomainName'],
  ['projectDomainId', 'projectDomainName'],
  ['applicationCredentialId', 'applicationCredentialName'],
];

/** @param sources in the order they are asked */
export function dropLowerTwins(sources: readonly SourceTexts[]): readonly SourceTexts[] {
  const settled = new Set<OptionKey>();
  return sources.map((source) => {
    const kept = new Map<OptionKey, SetText>([...source].filter(([key]) => !settled.has(key)));
    for (const twins of TWINS) if (twins.some((key) => kept.has(key))) for (const key of twins) settled.add(key);
    return kept;
  });
}
