/** `swift ls|stat|get|put|rm|info`: the client of the mount, for an admin at the shell. */
import type { Argv } from 'yargs';
import { thisHost } from '../config/host.js';
import { resolveSettings } from '../config/resolve.js';
import { resolveInputOf, isOfSwift, withOptionFlags, type ParsedFlags } from './flags.js';
import type { SwiftArguments } from './commands/swift.js';
import { withStore } from './with-store.js';

export const VERBS = ['ls', 'stat', 'get', 'put', 'rm', 'info'] as const;
type Verb = (typeof VERBS)[number];

export function addSwiftCommands(swift: Argv): Argv {
  return swift
    .command(
      'ls [container] [prefix]',
      'containers, or the objects of one',
      (command) =>
        withOptionFlags(
          command.option('long', { alias: 'l', type: 'boolean', default: false, describe: 'sizes and times too' }),
          isOfSwift,
        ),
      run('ls'),
    )
    .command(
      'stat <container> [object]',
      'what Swift says of a container or an object',
      (command) => withOptionFlags(command, isOfSwift),
      run('stat'),
    )
    .command(
      'get <container> <object> [file]',
      'an object to a file, or to standard output',
      (command) => withOptionFlags(command, isOfSwift),
      run('get'),
    )
    .command(
      'put <container> <object> <file>',
      'a file to an object',
      (command) =>
        withOptionFlags(
          command.option('segments', {
            type: 'boolean',
            default: false,
            describe: 'a file above segment_size as a large object, four segments at once: sooner there where one connection is slow',
          }),
          isOfSwift,
        ),
      run('put'),
    )
    .command('rm <container> [object]', 'an object, or an empty container', (command) => withOptionFlags(command, isOfSwift), run('rm'))
    .command('info', 'what this Swift can do', (command) => withOptionFlags(command, isOfSwift), run('info'))
    .demandCommand(1, `swift needs a command right behind it: ${VERBS.join(', ')}`);
}

function run(verb: Verb): (parsed: ParsedFlags) => Promise<void> {
  return async (parsed) => {
    const { settings } = resolveSettings(resolveInputOf(parsed), thisHost());
    const { SWIFT_COMMANDS } = await import('./commands/swift.js');
    await withStore(settings, (store) => SWIFT_COMMANDS[verb](store, argumentsOf(parsed)));
  };
}

function argumentsOf(parsed: ParsedFlags): SwiftArguments {
  const word = (name: string): string | undefined => {
    const value = parsed[name];
    return typeof value === 'string' ? value : undefined;
  };
  return {
    container: word('container'),
    object: word('object'),
    prefix: word('prefix'),
    file: word('file'),
    long: parsed['long'] === true,
    inSegments: parsed['segments'] === true,
  };
}
