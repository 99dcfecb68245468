// What the store knows of letters that the gate sends by itself: which are due, who is sending which, and which are done. A
// letter is due until it is done, so that one whose sender is killed is sent by another.
import type { Application } from '../../domain/application.ts';
import type { Suspension } from '../../domain/suspension.ts';
import type { WallMs } from '../../domain/time.ts';

export interface NoticeClaim {
  /** Of a running process. */
  readonly owner: string;
  readonly at: WallMs;
  /** Until then nobody else sends it. */
  readonly until: WallMs;
}

export interface NoticeStore {
  /** Applications that were decided since then and whose applicants are to hear of it, the oldest decision first. */
  decisionsToTell(since: WallMs, limit: number): Promise<Application[]>;
  /** Steps that were taken or answered since then, of which somebody is to hear, the oldest first. */
  stepsToTell(since: WallMs, limit: number): Promise<Suspension[]>;
  /** Takes a notice, or takes it anew; false where it is done, or another has it. */
  claimNotice(id: string, claim: NoticeClaim): Promise<boolean>;
  /** It was sent, or never can be. */
  finishNotice(id: string, at: WallMs): Promise<void>;
  /** It was not sent, and may be taken again at once. */
  dropNotice(id: string, owner: string): Promise<void>;
}
