export interface Article {
  id: string
  title: string
  author: string
  paragraphs: string[]
}

export interface Recommendation {
  id: string
  title: string
}

export interface Activity {
  readers: number
}

const articles: Article[] = [
  {
    id: '1',
    title: 'How a cofferdam keeps the river out',
    author: 'Ines Vogt',
    paragraphs: [
      'Drive two rows of piles into the river bed, fill the gap with clay, pump out what is inside, and you can build a bridge pier on dry ground with the river all around you.',
      'The wall leaks a little, always. That is no defect: the pumps are sized for it. What matters is that no leak, wherever it springs, can fill more than the one compartment that it is in.',
      'When a wall does give way, the crew of that pier climbs out. The crew of the next pier goes on working.',
    ],
  },
  {
    id: '2',
    title: 'Bulkheads & ballast: a short history',
    author: 'Tomas Reed',
    paragraphs: [
      'Junks on the Yangtze had watertight compartments a thousand years before European yards took up the idea. A hole in one meant a wet cargo, not a lost ship.',
      'The rule for their height is simple: a bulkhead that ends below the waterline is a decoration. Water that has filled one compartment will pour over into the next.',
    ],
  },
  {
    id: '3',
    title: 'The harbour master’s log',
    author: 'Ada Lindqvist',
    paragraphs: [
      'Every ship that could not enter is in the log, with the hour and the reason. A reason of “full” and a reason of “fog” look the same from the sea; they are very different from the tower.',
      'She reads the log aloud at the end of each month. Nobody has to ask twice what happened.',
    ],
  },
  {
    id: '4',
    title: 'When draught < depth',
    author: 'Jonah Pell',
    paragraphs: [
      'A pilot is not asked whether the channel is deep. A pilot is asked whether it is deep enough, for this ship, at this hour.',
      'Last night’s sounding is worth a good deal. It is worth more if it says that it is last night’s.',
    ],
  },
  {
    id: '5',
    title: 'Waiting for the lock',
    author: 'Ines Vogt',
    paragraphs: [
      'A lock that is out of order should shut its outer gate. Boats that have gone in can neither wait nor leave, and behind them the whole canal fills up.',
      'The keeper of the lock before it can do most about that, if only someone tells her.',
    ],
  },
]

const others = (id: string): Recommendation[] =>
  articles.filter((article) => article.id !== id).map(({ id, title }) => ({ id, title }))

/** What each upstream has to say about an article; `undefined` when there is no such article. */
export const content = {
  articles: (id: string): Article | undefined => articles.find((article) => article.id === id),
  recommendations: (id: string): Recommendation[] => others(id).slice(0, 3),
  activity: (): Activity => ({ readers: 20 + Math.floor(Math.random() * 60) }),
}

export const articleIds: readonly string[] = articles.map(({ id }) => id)
