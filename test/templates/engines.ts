import ejs from 'ejs'
import { Eta } from 'eta'
import handlebars from 'handlebars'
import nunjucks from 'nunjucks'
import pug from 'pug'

/** One template in each engine: a mode, a name that varies, and a loop. */
export interface Engine {
  name: string
  render(template: string, locals: object): string
  /** Says yes or no for the dependency of that name. */
  asks(dependency: string): string
  /** Lists name, mode and notice of all. */
  lists: string
}

const eta = new Eta()
// Handlebars passes over what isn't an own property; a snapshot's `list` is one, and so are all names.
handlebars.registerHelper('all', (health: { list: () => unknown }) => health.list())

export const engines: Engine[] = [
  {
    name: 'EJS',
    render: (template, locals) => ejs.compile(template)(locals),
    asks: (name) => `<% if (health['${name}'].available) { %>yes<% } else { %>no<% } %>`,
    lists: `<% for (const one of health.list()) { %>[<%= one.name %> <%= one.mode %> <%= one.notice %>]<% } %>`,
  },
  {
    name: 'Pug',
    render: (template, locals) => pug.compile(template)(locals),
    asks: (name) => `if health['${name}'].available\n  | yes\nelse\n  | no`,
    lists: 'each one in health.list()\n  | [#{one.name} #{one.mode} #{one.notice}]',
  },
  {
    name: 'Handlebars',
    render: (template, locals) => handlebars.compile(template)(locals),
    // Handlebars 4 takes no path behind a helper's result.
    asks: (name) => `{{#with (lookup health '${name}')}}{{#if available}}yes{{else}}no{{/if}}{{else}}no{{/with}}`,
    lists: '{{#each (all health)}}[{{name}} {{mode}} {{notice}}]{{/each}}',
  },
  {
    name: 'Nunjucks',
    render: (template, locals) => nunjucks.renderString(template, locals),
    asks: (name) => `{% if health['${name}'].available %}yes{% else %}no{% endif %}`,
    lists: '{% for one in health.list() %}[{{ one.name }} {{ one.mode }} {{ one.notice }}]{% endfor %}',
  },
  {
    name: 'Eta',
    render: (template, locals) => eta.renderString(template, locals),
    asks: (name) => `<% if (it.health['${name}'].available) { %>yes<% } else { %>no<% } %>`,
    lists: `<% for (const one of it.health.list()) { %>[<%= one.name %> <%= one.mode %> <%= one.notice %>]<% } %>`,
  },
]
