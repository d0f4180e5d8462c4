/** The product's version, as package.json has it: what files and logs say of who wrote them. */
export const productVersion = '0.1.0';
