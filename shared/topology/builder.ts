import type { GraphNode, Topology } from './graph';

type WithoutIdentity<Node> = Node extends GraphNode ? Omit<Node, 'id' | 'name'> : never;
export type NewNode = WithoutIdentity<GraphNode>;

/** Table, hub and stage names become parts of blob paths and hub names. */
const namePattern = /^[a-z][a-z0-9_-]{1,49}$/;

/** Gathers the nodes of one topology and every fault in it. */
export class GraphBuilder {
  readonly nodes: GraphNode[] = [];
  readonly faults: string[] = [];

  /** Adds a node; its name is its kind and a number unless one is given. */
  add(node: NewNode, name?: string): number {
    const id = this.nodes.length;
    const ofKind = this.nodes.filter(({ kind }) => kind === node.kind).length;
    const named = { ...node, id, name: name ?? `${node.kind.toLowerCase()}-${ofKind + 1}` };
    this.checkName(node.kind, named.name);
    if (this.nodes.some((other) => other.kind === node.kind && other.name === named.name)) {
      this.fault(`two operators ${node.kind} have the name ${named.name}: give one another name`);
    }
    this.nodes.push(named);
    return id;
  }

  fault(text: string): void {
    this.faults.push(text);
  }

  checkName(what: string, name: string): void {
    if (namePattern.test(name)) return;
    this.fault(`${what} name "${name}": use 2 to 50 of a-z, 0-9, _ and -, beginning with a letter`);
  }

  finish(name: string): Topology {
    return { name, nodes: this.nodes };
  }
}
