// `sekisho announcement …`: messages of the operator to everyone.
import type { Command } from 'commander';
import { Refusal } from '../domain/refusal.ts';
import {
  type AnnouncementFields,
  changeAnnouncement,
  createAnnouncement,
  deleteAnnouncement,
  requireAnnouncement,
  showAnnouncement,
} from '../management/announcements/announcements.ts';
import { type Json, moment, printGone, printObject, printRows, type WithContext } from './command.ts';
import { confirm, type Sure, yesOption } from './confirm.ts';

interface Asked extends Json {
  readonly en?: string;
  readonly ja?: string;
  readonly from?: number;
  readonly until?: number | 'none';
  readonly header?: boolean;
}

const fieldsOf = ({ en, ja, from, until, header }: Asked): AnnouncementFields => ({
  en: en === 'none' ? null : en,
  ja: ja === 'none' ? null : ja,
  from,
  until: until === 'none' ? null : until,
  header,
});

const ending = (text: string): number | 'none' => (text === 'none' ? text : moment(text));

export function announcementCommand(program: Command, withContext: WithContext): void {
  const announcement = program
    .command('announcement')
    .description('show messages as banners on the pages and, optionally, in a header of answers');
  addLooks(announcement, withContext);

  withFields(
    announcement.command('create').description('create an announcement; it is shown immediately, or from --from'),
  )
    .option('--header', 'also send it with answers to calls, as X-Sekisho-Announcement')
    .option('--json', 'one JSON object')
    .action((asked: Asked) =>
      withContext(async ({ store, author }) =>
        printObject(showAnnouncement(await createAnnouncement(store, fieldsOf(asked), author)), asked.json),
      ),
    );

  withFields(announcement.command('set').argument('<id>').description('change an announcement'))
    .option('--header', 'also send it with answers to calls, as X-Sekisho-Announcement')
    .option('--no-header', 'no longer send it with answers to calls')
    .option('--json', 'one JSON object')
    .action((id: string, { json, ...asked }: Asked) =>
      withContext(async ({ store, author }) => {
        if (Object.keys(asked).length === 0) throw new Refusal('Give something to change, such as --until 2d.');
        printObject(showAnnouncement(await changeAnnouncement(store, id, fieldsOf(asked), author)), json);
      }),
    );

  announcement
    .command('delete')
    .argument('<id>')
    .description('delete an announcement')
    .option(...yesOption)
    .option('--json', 'one JSON object')
    .action((id: string, { json, ...sure }: Sure & Json) =>
      withContext(async ({ store, author }) => {
        await requireAnnouncement(store, id);
        await confirm(`The announcement ${id} will be deleted.`, sure);
        await deleteAnnouncement(store, id, author);
        printGone({ id, deleted: true }, json, `The announcement ${id} is deleted.`);
      }),
    );
}

const withFields = (command: Command): Command =>
  command
    .option('--en <text>', 'the text in English; none removes it')
    .option('--ja <text>', 'the text in Japanese; none removes it')
    .option('--from <when>', 'when it starts: a date, or a time from now', moment)
    .option('--until <when>', 'when it ends: a date, a time from now, or none', ending);

function addLooks(announcement: Command, withContext: WithContext): void {
  announcement
    .command('list')
    .description('list all announcements, latest start first')
    .option('--json', 'one JSON array')
    .action(({ json }: Json) =>
      withContext(async ({ store }) => {
        const rows = (await store.listAnnouncements()).map(showAnnouncement);
        printRows(rows, ['id', 'en', 'ja', 'from', 'until', 'header'], json, 'There are no announcements.');
      }),
    );

  announcement
    .command('show')
    .argument('<id>')
    .description('show an announcement')
    .option('--json', 'one JSON object')
    .action((id: string, { json }: Json) =>
      withContext(async ({ store }) => printObject(showAnnouncement(await requireAnnouncement(store, id)), json)),
    );
}
