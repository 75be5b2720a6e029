const svg = 'http://www.w3.org/2000/svg'

/** Text goes in as text nodes only, never as markup. */
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children)
}

export function svgElement(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(svg, tag), attributes, children)
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
  node.append(...children)
  return node
}
