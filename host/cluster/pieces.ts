// A body of any length in pieces, each with its proof: so that it can be taken as it comes, and ends only where it did.
import { timingSafeEqual } from 'node:crypto'
import { BlockReader, sized } from './blocks.js'
import { provePiece } from './proof.js'

/** Half of a proof is enough, and what one piece can take of the reader's memory is bounded. */
const [proofBytes, maxPieceBytes] = [16, 1024 * 1024]

/** `answer`: the proof of its head. */
export class PieceWriter {
  readonly #secret: string
  readonly #answer: string
  #count = 0

  constructor(secret: string, answer: string) {
    this.#secret = secret
    this.#answer = answer
  }

  write(bytes: Uint8Array): Buffer[] {
    const pieces: Buffer[] = []
    for (let at = 0; at < bytes.length; at += maxPieceBytes) {
      pieces.push(this.#piece(bytes.subarray(at, at + maxPieceBytes)))
    }
    return pieces
  }

  /** Without it the body is not whole. */
  end(): Buffer {
    return this.#piece(new Uint8Array())
  }

  #piece(bytes: Uint8Array): Buffer {
    const piece = sized(proofBytes + bytes.length)
    provePiece(this.#secret, this.#answer, this.#count, bytes).copy(piece, 4, 0, proofBytes)
    piece.set(bytes, 4 + proofBytes)
    this.#count += 1
    return piece
  }
}

export class PieceReader {
  readonly #secret: string
  readonly #answer: string
  readonly #blocks = new BlockReader()
  #count = 0
  /** It has come to its end, and nothing came behind that. */
  isWhole = false

  constructor(secret: string, answer: string) {
    this.#secret = secret
    this.#answer = answer
  }

  /** What is there of the body with it; undefined: it is forged. */
  read(bytes: Buffer): Buffer[] | undefined {
    const found: Buffer[] = []
    this.#blocks.push(bytes)
    for (;;) {
      const length = this.#blocks.nextLength ?? proofBytes
      if (length < proofBytes || length > proofBytes + maxPieceBytes) return undefined
      const block = this.#blocks.next()
      if (block === undefined) break
      const piece = block.subarray(proofBytes)
      const proof = provePiece(this.#secret, this.#answer, this.#count, piece)
      const isProven = timingSafeEqual(block.subarray(0, proofBytes), proof.subarray(0, proofBytes))
      if (!isProven || this.isWhole) return undefined
      this.#count += 1
      if (piece.length === 0) this.isWhole = true
      else found.push(piece)
    }
    return this.isWhole && this.#blocks.isWithin ? undefined : found
  }
}
