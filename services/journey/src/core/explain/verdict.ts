import type { JourneyRecord } from '#gen/recur/analytics/v1/analytics_service.ts';
import { type Journey, JourneyStatus, type Trigger } from '#gen/recur/journey/v1/journey.ts';
import { type Verdict, VerdictKind } from '#gen/recur/journey/v1/service.ts';
import { reasonInWords, type Said, say } from './words.ts';

export interface Evidence {
  readonly journey: Journey;
  /** Of the customer and the journey, and of the segment that lets customers in; oldest first. */
  readonly records: readonly JourneyRecord[];
  /** When the event that lets customers in happened last; undefined: never, or it is no event. */
  readonly eventMs: number | undefined;
}

/** How it stands, by the newest entry: why there was a message, or none. */
export function verdictOf({ journey, records, eventMs }: Evidence): Verdict {
  const steps = records.filter(({ kind }) => kind === 'step');
  const entry = steps.findLast(({ what }) => what === 'enrolled' || what === 'refused');
  if (entry === undefined) return notEntered(journey, records, eventMs);
  if (entry.what === 'refused') return refused(entry);
  const of = records.filter(({ enrolmentId }) => enrolmentId === entry.enrolmentId);
  const message = of.findLast(({ kind }) => kind === 'decision' || kind === 'delivery');
  if (message !== undefined) return ofMessage(message);
  const heldOut = of.find(({ kind, reason }) => kind === 'exposure' && reason === 'hold_out');
  if (heldOut !== undefined) {
    return verdict(
      VerdictKind.VERDICT_KIND_HELD_OUT,
      'hold_out',
      say(
        `The customer is in the hold-out of experiment ${heldOut.branch}, which gets nothing.`,
        `客户属于实验 ${heldOut.branch} 的对照组,不接收任何内容。`,
      ),
    );
  }
  return withoutMessage(of);
}

function verdict(kind: VerdictKind, reason: string, said: Said): Verdict {
  return { kind, reason, said };
}

function at(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

function refused({ reason, timeMs }: JourneyRecord): Verdict {
  const words = reasonInWords(reason);
  const kind = reason === 'hold_out' ? VerdictKind.VERDICT_KIND_HELD_OUT : VerdictKind.VERDICT_KIND_REFUSED;
  return verdict(
    kind,
    reason,
    say(`Was not let in at ${at(timeMs)}: ${words.english}.`, `${at(timeMs)} 未能进入:${words.chinese}。`),
  );
}

function withoutMessage(records: readonly JourneyRecord[]): Verdict {
  const last = records.findLast(({ kind }) => kind === 'step') as JourneyRecord;
  const words = reasonInWords(last.reason);
  if (last.what === 'exited') {
    return verdict(
      VerdictKind.VERDICT_KIND_LEFT,
      last.reason,
      say(
        `Left at ${at(last.timeMs)} before a message was due: ${words.english}.`,
        `在应发送消息之前,于 ${at(last.timeMs)} 离开旅程:${words.chinese}。`,
      ),
    );
  }
  const { nodeId } = records.findLast(({ kind, nodeId: node }) => kind === 'step' && node !== '') ?? last;
  return verdict(
    VerdictKind.VERDICT_KIND_WAITING,
    '',
    say(
      `Is in the journey at ${nodeId} since ${at(last.timeMs)}; no message was due yet.`,
      `自 ${at(last.timeMs)} 起位于节点 ${nodeId},尚未到发送时间。`,
    ),
  );
}

const MESSAGES: Readonly<Record<string, readonly [VerdictKind, english: string, chinese: string]>> = {
  defer: [VerdictKind.VERDICT_KIND_DEFERRED, 'was put off', '已推迟'],
  drop: [VerdictKind.VERDICT_KIND_DROPPED, 'was not sent', '未发送'],
  send: [VerdictKind.VERDICT_KIND_SENDING, 'is under way', '正在发送'],
  intent: [VerdictKind.VERDICT_KIND_SENDING, 'is under way', '正在发送'],
  failed: [VerdictKind.VERDICT_KIND_FAILED, 'failed', '发送失败'],
  unknown: [VerdictKind.VERDICT_KIND_UNKNOWN, 'may have gone out, nobody knows', '结果未知'],
};
/** Accepted by the provider, and all that receipts say afterwards. */
const SENT = [VerdictKind.VERDICT_KIND_SENT, 'was sent', '已发送'] as const;

function ofMessage({ what, reason, nodeId, timeMs }: JourneyRecord): Verdict {
  const [kind, english, chinese] = MESSAGES[what] ?? SENT;
  const told = kind === VerdictKind.VERDICT_KIND_SENT || reason === 'ok' ? '' : reason;
  const words = reasonInWords(told);
  return verdict(
    kind,
    told,
    say(
      `Message ${nodeId} ${english} at ${at(timeMs)}${told === '' ? '' : `: ${words.english}`}.`,
      `消息 ${nodeId} 于 ${at(timeMs)} ${chinese}${told === '' ? '' : `:${words.chinese}`}。`,
    ),
  );
}

function notEntered({ status, definition }: Journey, records: readonly JourneyRecord[], eventMs?: number): Verdict {
  if (status === JourneyStatus.JOURNEY_STATUS_DRAFT) {
    return verdict(VerdictKind.VERDICT_KIND_NOT_STARTED, '', say('The journey was never started.', '旅程尚未启动。'));
  }
  const trigger = triggerInWords(definition?.trigger);
  const happenedMs =
    eventMs ?? records.findLast(({ kind, what }) => kind === 'segment' && what === trigger.what)?.timeMs;
  if (happenedMs === undefined) {
    return verdict(
      VerdictKind.VERDICT_KIND_NOT_TRIGGERED,
      '',
      say(`What lets customers in never happened: ${trigger.english}.`, `触发条件从未发生:${trigger.chinese}。`),
    );
  }
  return verdict(
    VerdictKind.VERDICT_KIND_NOT_LET_IN,
    '',
    say(
      `What lets customers in (${trigger.english}) happened last at ${at(happenedMs)}, but not so that it let this one in: the journey was not on, conditions on its properties did not hold, or it came in more than 3 days late.`,
      `触发条件(${trigger.chinese})最近发生于 ${at(happenedMs)},但未使客户进入:当时旅程未启用、属性条件不满足,或事件迟到超过 3 天。`,
    ),
  );
}

function triggerInWords(trigger: Trigger | undefined): Said & { readonly what: string } {
  const kind = trigger?.kind;
  switch (kind?.$case) {
    case 'event':
      return { ...say(`event “${kind.value.name}”`, `事件“${kind.value.name}”`), what: '' };
    case 'segmentEntered':
      return { ...say(`entering segment ${kind.value}`, `进入人群 ${kind.value}`), what: 'entered' };
    case 'segmentExited':
      return { ...say(`leaving segment ${kind.value}`, `离开人群 ${kind.value}`), what: 'exited' };
    case 'classChanged':
      return { ...say('a change of class or lifecycle stage', 'RFM 分类或生命周期阶段变化'), what: '' };
    case 'date':
      return { ...say(`the day in trait ${kind.value.trait}`, `属性 ${kind.value.trait} 所指的日期`), what: '' };
    case 'schedule':
      return { ...say('its schedule', '定时计划'), what: '' };
    case 'liveRoom':
      return { ...say('the start of a live room', '直播间开播'), what: '' };
    case 'api':
      return { ...say('a call of EnrolCustomers or Broadcast', '接口调用(EnrolCustomers 或 Broadcast)'), what: '' };
    default:
      return { ...say('its trigger', '其触发条件'), what: '' };
  }
}
