/**
 * YAML whose scalars stay as they are written: a password `0123` or `12345678901234567890` is no number.
 * INVARIANT: no message quotes the file. The line that is wrong may be the password's, and the parser's own words may hold a piece of it.
 */
import { isScalar, LineCounter, parseDocument, visit, type Document } from 'yaml';
import { FilestoreError } from '../base/errors.js';

const REMEDY = 'put a value with special characters in single quotes, and indent with spaces';
const REMEDY_FOR: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'write each key once',
  MULTIPLE_DOCS: 'keep one document, without a second ---',
  MULTILINE_IMPLICIT_KEY: 'write "option: value", with a space behind the colon',
  BLOCK_AS_IMPLICIT_KEY: 'put a value with a colon in it in single quotes, and begin each option at the same column',
};

interface YamlText {
  readonly document: Document.Parsed;
  /** `FILE:LINE` of an offset in the text. */
  readonly lineAt: (offset: number | undefined) => string;
}

/** @throws FilestoreError bad-config with file, line and column */
export function parseYamlText(content: string, file: string): YamlText {
  const lines = new LineCounter();
  const document = parseDocument(content, { schema: 'failsafe', lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const [problem] = document.errors;
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0]);
    const sort = problem.code.toLowerCase().replaceAll('_', ' ');
    throw new FilestoreError('bad-config', `${file}:${line}:${col}: not YAML: ${sort}; ${REMEDY_FOR[problem.code] ?? REMEDY}`);
  }
  return { document, lineAt: (offset) => (offset === undefined ? file : `${file}:${lines.linePos(offset).line}`) };
}

/** The whole as plain values, texts all of them; what is left empty, or says null, is null. @throws FilestoreError bad-config */
export function valuesOf({ document }: YamlText, file: string): unknown {
  visit(document, {
    Scalar: (_key, node) => {
      if (isScalar(node) && node.type === 'PLAIN' && /^(~|null)?$/i.test(String(node.value))) node.value = null;
    },
  });
  try {
    return document.toJS();
  } catch {
    // An alias (`*name`) without its anchor, most often a password that begins so.
    throw new FilestoreError('bad-config', `${file}: a value begins with * and names nothing; ${REMEDY}`);
  }
}
