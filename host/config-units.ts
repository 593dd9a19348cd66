// Numbers of the configuration, each with what it means and its unit.
import { z } from 'zod'

export const mebibyte = 1024 * 1024

/** The longest time that a timer of Node can hold. */
const longestMs = 2_147_483_647

export const ms = (value: number, means: string) =>
  z.int().min(1).max(longestMs).default(value).describe(`${means} In milliseconds.`)
export const bytes = (value: number, means: string) =>
  z.int().min(1).default(value).describe(`${means} In bytes.`)
export const count = (value: number, means: string) => z.int().min(1).default(value).describe(means)
