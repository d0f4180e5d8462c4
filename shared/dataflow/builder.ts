import { faultOf, notePlace, stackHere, type Fault } from './places';
import { kindOf, roleOf, type DeadLetterLimits, type GraphNode, type Topology } from './graph';

type WithoutIdentity<Node> = Node extends GraphNode ? Omit<Node, 'id' | 'name' | 'isNamed'> : never;
export type NewNode = WithoutIdentity<GraphNode>;

/** Table, hub and stage names become parts of blob paths and hub names. */
const namePattern = /^[a-z][a-z0-9_-]{1,49}$/;

/** Gathers the nodes of one topology and every fault in it. */
export class GraphBuilder {
  readonly nodes: GraphNode[] = [];
  readonly faults: Fault[] = [];

  /** @param name the node's identity: `addUnnamed` is for those that keep nothing */
  add(node: NewNode, name: string): number {
    const kind = kindOf(node);
    if (typeof name !== 'string') {
      // The types say so too; whoever writes JavaScript learns it here.
      this.fault(
        `every ${kind} needs a name, which is the identity of what it keeps: { name: '…' }`,
      );
      return this.addUnnamed(node);
    }
    this.checkName(kind, name);
    if ('version' in node && !(Number.isSafeInteger(node.version) && node.version >= 1)) {
      this.fault(`${kind} ${name}: its version must be a whole number from 1`);
    }
    const role = roleOf(node);
    const twin = this.nodes.find(
      (other) => other.isNamed && other.name === name && roleOf(other) === role,
    );
    if (twin !== undefined) {
      const text = `two ${role} have the name ${name}: give one another name`;
      this.fault(text);
      this.fault(text, twin);
    }
    return this.#push(node, name, true);
  }

  /** Its name is its kind and a number: for messages, and never part of what lasts. */
  addUnnamed(node: NewNode): number {
    const kind = kindOf(node);
    const ofKind = this.nodes.filter((other) => kindOf(other) === kind);
    return this.#push(node, `${kind.toLowerCase()}-${ofKind.length + 1}`, false);
  }

  #push(node: NewNode, name: string, isNamed: boolean): number {
    const id = this.nodes.length;
    const named = { ...node, id, name, isNamed };
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
