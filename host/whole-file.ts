// Small files that are whole at any time: written under another name first, so that neither a crash nor a full disk leaves a part of one.
import { renameSync, writeFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'

/** Throws what the disk says; then the file is as it was. */
export async function writeWhole(
  file: string,
  text: string,
  options: { readonly mode?: number } = {},
): Promise<void> {
  await writeFile(`${file}.new`, text, options)
  await rename(`${file}.new`, file)
}

export function writeWholeSync(file: string, text: string): void {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}
