/** What the settings say of where the files are, and a login of version 1 has no word for: an account by that name may be somewhere else. */
import type { SwiftSettings } from '../swift-settings.js';
import { toldService } from './discovery.js';

/** @returns names of options that change nothing; none where the login is not v1 */
export function unusedSettings(settings: SwiftSettings): readonly string[] {
  const { token, storageUrl, username = '', projectName, projectId, region } = settings;
  if ((token !== undefined && storageUrl !== undefined) || toldService(settings)?.version !== '1') return [];
  // A user without an account of its own takes the project's name for it.
  const isNamed = username.includes(':') && projectName !== undefined && !username.startsWith(`${projectName}:`);
  return [
    ...(region === undefined ? [] : ['region']),
    ...(settings.interface === 'public' ? [] : ['interface']),
    ...(isNamed ? ['project_name'] : []),
    ...(projectId === undefined ? [] : ['project_id']),
  ];
}
