// The registration settings, in one row. A change updates the applications that it affects.
import { firstRegistration, type Registration } from '../../domain/application.ts';
import { mailboxOf } from '../../domain/mailbox.ts';
import type { RegistrationStore } from '../ports/registration.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import { writeSettingChange } from './settings.ts';

export function registrationQueries({ db, transact }: Connection): RegistrationStore {
  return {
    readRegistration: async () => {
      const { definition } = await db.selectFrom('registration').select('definition').executeTakeFirstOrThrow();
      return { ...firstRegistration, ...(JSON.parse(definition) as Partial<Registration>) };
    },
    writeRegistration: (registration, event, change) =>
      transact(async (transaction) => {
        await transaction
          .updateTable('registration')
          .set({ definition: JSON.stringify(registration) })
          .execute();
        for (const domain of registration.dotless) {
          const rows = await transaction
            .selectFrom('applications')
            .select(['id', 'email'])
            .where('email', 'like', `%@${domain}`)
            .execute();
          for (const { id, email } of rows)
            await transaction
              .updateTable('applications')
              .set({ mailbox: mailboxOf(email, registration.dotless) })
              .where('id', '=', id)
              .execute();
        }
        if (change) await writeSettingChange(transaction, change);
        await writeAudit(transaction, event);
      }),
  };
}
