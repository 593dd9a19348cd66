// Draws a topology from left to right: streams and functions in layers, lines in the gaps between them.
import type { Topology } from '../functions/catalog.js'
import { Canvas, East, North, South, West } from './line-canvas.js'

interface Node {
  readonly id: string
  /** null: only a line passes here, on its way over several layers. */
  readonly label: string | null
  layer: number
  row: number
  readonly to: Node[]
  readonly from: Node[]
}

/** What of a topology is drawn. */
export interface Drawn extends Pick<Topology, 'edges'> {
  readonly functions: readonly Omit<Topology['functions'][number], 'group'>[]
  readonly streams: readonly Pick<Topology['streams'][number], 'name'>[]
}

/** One part below the other; empty if there is no function. */
export function drawTopology(topology: Drawn): string {
  const nodes = graphOf(topology)
  return componentsOf(nodes).map(drawComponent).join('\n\n')
}

function graphOf({ functions, streams, edges }: Drawn): Node[] {
  const nodes = new Map<string, Node>()
  const node = (id: string, label: string) =>
    nodes.set(id, { id, label, layer: 0, row: 0, to: [], from: [] })
  const sorted = [...edges].filter(
    ({ from, to }) => from !== to && !to.startsWith('table:') && !from.startsWith('table:'),
  )
  // What leads back would make layers without end: it is named where it arrives, in place of a line.
  const back = backEdges(sorted)
  for (const { name } of streams) node(`stream:${name}`, name)
  for (const { name, state, table, loop, joins, lookups } of functions) {
    const read = [...new Set([...joins, ...lookups])].join(', ')
    const marks = [
      table === null ? '' : ' ▤',
      loop ? ' ↺' : '',
      read === '' ? '' : ` ⋈ ${read}`,
    ].join('')
    const held = state === 'running' ? '' : `: ${state}`
    const fed = back
      .filter(({ to }) => to === `function:${name}`)
      .map(({ from }) => ` ⇠ ${from.slice(from.indexOf(':') + 1)}`)
    node(`function:${name}`, `[${name}${marks}${held}]${fed.join('')}`)
  }
  for (const edge of sorted) {
    if (back.includes(edge)) continue
    const [from, to] = [nodes.get(edge.from), nodes.get(edge.to)]
    if (from === undefined || to === undefined || from.to.includes(to)) continue
    from.to.push(to)
    to.from.push(from)
  }
  return [...nodes.values()]
}

type Edge = { readonly from: string; readonly to: string }

/** Of each cycle the edge from a stream back to a function that leads to it, seen from where records come in. */
function backEdges(edges: readonly Edge[]): Edge[] {
  const found: Edge[] = []
  const done = new Set<string>()
  const visit = (id: string, path: readonly string[]): void => {
    if (done.has(id)) return
    for (const edge of edges) {
      if (edge.from !== id) continue
      if (edge.to === id || path.includes(edge.to)) found.push(edge)
      else visit(edge.to, [...path, id])
    }
    done.add(id)
  }
  const targets = new Set(edges.map(({ to }) => to))
  const ids = edges.map(({ from }) => from)
  for (const id of ids.filter((each) => !targets.has(each))) visit(id, [])
  // A cycle that nothing leads into is entered at a function, so that the way back begins at a stream.
  for (const id of ids.filter((each) => each.startsWith('function:'))) visit(id, [])
  return found
}

function componentsOf(nodes: readonly Node[]): Node[][] {
  const seen = new Set<Node>()
  const gather = (node: Node): Node[] => {
    if (seen.has(node)) return []
    seen.add(node)
    return [node, ...[...node.to, ...node.from].flatMap(gather)]
  }
  return nodes.map(gather).filter((component) => component.length > 0)
}

function drawComponent(component: readonly Node[]): string {
  setLayers(component)
  const layers = orderedLayers(withPassages(component))
  setRows(layers)
  return render(layers)
}

function setLayers(nodes: readonly Node[]): void {
  const settled = new Map<Node, number>()
  const layerOf = (node: Node): number => {
    const known = settled.get(node)
    if (known !== undefined) return known
    const layer = Math.max(-1, ...node.from.map(layerOf)) + 1
    settled.set(node, layer)
    return layer
  }
  for (const node of nodes) node.layer = layerOf(node)
  // A source stands right before what it feeds: else its line would be long for nothing.
  for (const node of nodes) {
    if (node.from.length === 0 && node.to.length > 0) {
      node.layer = Math.min(...node.to.map(({ layer }) => layer)) - 1
    }
  }
}

/** Edges over several layers get a node in each between them. */
function withPassages(nodes: readonly Node[]): Node[] {
  const all: Node[] = [...nodes]
  for (const node of nodes) {
    for (const target of [...node.to]) {
      let before = node
      for (let layer = node.layer + 1; layer < target.layer; layer++) {
        // Lines of one source to one layer run together.
        const id = `${node.id}|${layer}`
        let passage = all.find((each) => each.id === id)
        if (passage === undefined) {
          passage = { id, label: null, layer, row: 0, to: [], from: [before] }
          all.push(passage)
          before.to.push(passage)
        }
        before = passage
      }
      if (before === node) continue
      node.to.splice(node.to.indexOf(target), 1)
      before.to.push(target)
      target.from.splice(target.from.indexOf(node), 1, before)
    }
  }
  return all
}

/** Nodes beside what they hang together with, by sweeps over the layers, so that few lines cross. */
function orderedLayers(nodes: readonly Node[]): Node[][] {
  const count = Math.max(...nodes.map(({ layer }) => layer)) + 1
  const layers = Array.from({ length: count }, (_, layer) =>
    nodes.filter((node) => node.layer === layer),
  )
  const place = new Map<Node, number>()
  const note = (layer: readonly Node[]) => {
    for (const [index, node] of layer.entries()) place.set(node, index)
  }
  layers.forEach(note)
  const mean = (of: readonly Node[], otherwise: number) =>
    of.length === 0
      ? otherwise
      : of.reduce((sum, node) => sum + (place.get(node) ?? 0), 0) / of.length
  const sweep = (layer: Node[], neighbours: (node: Node) => readonly Node[]) => {
    const wanted = new Map(
      layer.map((node) => [node, mean(neighbours(node), place.get(node) ?? 0)]),
    )
    layer.sort((one, other) => (wanted.get(one) ?? 0) - (wanted.get(other) ?? 0))
    note(layer)
  }
  for (let round = 0; round < 4; round++) {
    for (const layer of layers) sweep(layer, ({ from }) => from)
    for (const layer of [...layers].reverse()) sweep(layer, ({ to }) => to)
  }
  return layers
}

/** In the row of the first that leads to it, unless lines could not be told apart there. */
function setRows(layers: readonly (readonly Node[])[]): void {
  layers.forEach((layer, index) => {
    const before = layers[index - 1] ?? []
    let next = 0
    for (const node of layer) {
      const wanted = Math.min(...node.from.map(({ row }) => row))
      node.row = Math.max(next, Number.isFinite(wanted) ? wanted : next)
      const isPlaced = layer.slice(0, layer.indexOf(node) + 1)
      while (before.length > 0 && tracksOf(before, isPlaced) === undefined) node.row++
      next = node.row + 1
    }
  })
}

interface Track {
  readonly sources: readonly Node[]
  readonly rows: readonly number[]
}

/**
 * The upright lines of one gap from left to right, one for the sources that lead to the same targets; none for one that leads
 * straight on. Undefined if a source and a target in one row would need each other's line on the left.
 */
function tracksOf(before: readonly Node[], layer: readonly Node[]): Track[] | undefined {
  const alike = new Map<string, Node[]>()
  for (const source of before) {
    const targets = source.to.map(({ id }) => id).sort()
    alike.set(targets.join(' '), [...(alike.get(targets.join(' ')) ?? []), source])
  }
  const tracks = [...alike.values()].flatMap((sources): Track[] => {
    const targets = (sources[0]?.to ?? []).filter((node) => layer.includes(node))
    const rows = [...new Set([...sources, ...targets].map(({ row }) => row))]
    return targets.length === 0 || rows.length === 1 ? [] : [{ sources, rows }]
  })
  // In a row that a source and a target share, the source's own line comes first.
  const isBefore = (one: Track, other: Track) =>
    one !== other &&
    other.sources.some(({ to }) =>
      to.some((node) => layer.includes(node) && one.sources.some(({ row }) => row === node.row)),
    )
  const ordered: Track[] = []
  let left = tracks
  while (left.length > 0) {
    const first = left.find((track) => !left.some((other) => isBefore(other, track)))
    if (first === undefined) return undefined
    ordered.push(first)
    left = left.filter((track) => track !== first)
  }
  return ordered
}

function render(layers: readonly (readonly Node[])[]): string {
  const canvas = new Canvas()
  let column = 0
  layers.forEach((layer, index) => {
    const width = Math.max(...layer.map(({ label }) => label?.length ?? 0))
    const isLast = index === layers.length - 1
    for (const node of layer) {
      if (node.label !== null) canvas.write(column, node.row, node.label)
      const from = column + (node.label === null ? 0 : node.label.length + 1)
      if (node.to.length > 0) canvas.across(from, column + width + 1, node.row)
    }
    column += width + 1
    const following = layers[index + 1]
    if (isLast || following === undefined) return
    const tracks = tracksOf(layer, following) ?? []
    const end = column + 2 * tracks.length + 2
    for (const node of layer) {
      const track = tracks.findIndex(({ sources }) => sources.includes(node))
      if (node.to.length === 0) continue
      if (track < 0) {
        canvas.across(column, end, node.row)
        continue
      }
      const at = column + 2 * track + 1
      canvas.across(column, at, node.row)
      canvas.join(at, node.row, West)
      const rows = tracks[track]?.rows ?? []
      const [top, bottom] = [Math.min(...rows), Math.max(...rows)]
      canvas.down(at, top, bottom)
      for (const row of rows) {
        if (row > top) canvas.join(at, row, North)
        if (row < bottom) canvas.join(at, row, South)
      }
      for (const target of node.to) {
        canvas.join(at, target.row, East)
        canvas.across(at + 1, end, target.row)
      }
    }
    for (const node of following) {
      if (node.label !== null) canvas.write(end, node.row, '▶ ')
      else canvas.across(end, end + 2, node.row)
    }
    column = end + 2
  })
  return canvas.toString()
}
