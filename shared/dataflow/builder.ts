import { faultOf, notePlace, stackHere, type Fault } from './places';
import { kindOf, type DeadLetterLimits, type GraphNode, type Topology } from './graph';

type WithoutIdentity<Node> = Node extends GraphNode ? Omit<Node, 'id' | 'name'> : never;
export type NewNode = WithoutIdentity<GraphNode>;

/** Table, hub and stage names become parts of blob paths and hub names. */
const namePattern = /^[a-z][a-z0-9_-]{1,49}$/;

/** Gathers the nodes of one topology and every fault in it. */
export class GraphBuilder {
  readonly nodes: GraphNode[] = [];
  readonly faults: Fault[] = [];

  /** Adds a node; its name is its kind and a number unless one is given. */
  add(node: NewNode, name?: string): number {
    const id = this.nodes.length;
    const kind = kindOf(node);
    const ofKind = this.nodes.filter((other) => kindOf(other) === kind);
    const named = { ...node, id, name: name ?? `${kind.toLowerCase()}-${ofKind.length + 1}` };
    this.checkName(kind, named.name);
    if (ofKind.some((other) => other.name === named.name)) {
      this.fault(`two operators ${kind} have the name ${named.name}: give one another name`);
    }
    this.nodes.push(named);
    notePlace(named, ...('table' in named ? [named.table] : []));
    return id;
  }

  /** `part`: what is wrong; absent: what is being called. */
  fault(text: string, part?: object): void {
    this.faults.push(part === undefined ? { text, stack: stackHere() } : faultOf(part, text));
  }

  checkName(what: string, name: string): void {
    if (namePattern.test(name)) return;
    this.fault(`${what} name "${name}": use 2 to 50 of a-z, 0-9, _ and -, beginning with a letter`);
  }

  finish(name: string, deadLetters: DeadLetterLimits): Topology {
    return { name, nodes: this.nodes, deadLetters };
  }
}
