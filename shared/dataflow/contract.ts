/** The operator contract, where topologies look for it. */
export type * from '../operators/contract';
