import type { JourneyRecord } from '#gen/recur/analytics/v1/analytics_service.ts';
import { because, type Said, say } from './words.ts';

/** One record in words. */
export function recordInWords(record: JourneyRecord): Said {
  const { english, chinese } = plain(record);
  const reason = because(record.kind === 'exposure' || record.what === 'send' ? '' : record.reason);
  return say(`${english}${reason.english}.`, `${chinese}${reason.chinese}。`);
}

function plain(record: JourneyRecord): Said {
  switch (record.kind) {
    case 'step':
      return step(record);
    case 'exposure':
      return record.reason === 'hold_out'
        ? say(`Held out in experiment ${record.branch}`, `在实验 ${record.branch} 中属于对照组`)
        : say(`Variant ${record.what} of experiment ${record.branch}`, `实验 ${record.branch} 的分组 ${record.what}`);
    case 'segment':
      return record.what === 'entered'
        ? say(`Entered segment ${record.branch}`, `进入人群 ${record.branch}`)
        : say(`Left segment ${record.branch}`, `离开人群 ${record.branch}`);
    case 'decision':
      return decision(record);
    default:
      return delivery(record);
  }
}

function step({ what, nodeId, branch }: JourneyRecord): Said {
  const way = branch === '' ? say('', '') : say(` by way of ${branch}`, `(经由 ${branch})`);
  switch (what) {
    case 'enrolled':
      return say('Entered the journey', '进入旅程');
    case 'refused':
      return say('Was not let in', '未能进入旅程');
    case 'converted':
      return say('Reached the goal', '达成目标');
    case 'moved':
      return say('Went on in another version', '转入其他版本继续');
    case 'exited':
      return say('Left the journey', '离开旅程');
    default:
      return say(`Came to ${nodeId}${way.english}`, `到达节点 ${nodeId}${way.chinese}`);
  }
}

function decision({ what, nodeId, channel, untilMs }: JourneyRecord): Said {
  const until = new Date(untilMs).toISOString();
  if (what === 'send') return say(`${nodeId}: to be sent by ${channel}`, `${nodeId}:决定通过 ${channel} 发送`);
  if (what === 'defer') return say(`${nodeId}: put off until ${until}`, `${nodeId}:推迟至 ${until}`);
  return say(`${nodeId}: not sent`, `${nodeId}:不发送`);
}

const DELIVERIES: Readonly<Record<string, Said>> = {
  intent: say('handed to the provider', '已提交给服务商'),
  sent: say('accepted by the provider', '服务商已接收'),
  failed: say('refused by the provider', '服务商拒绝'),
  unknown: say('the answer of the provider was lost; a person decides', '服务商的答复丢失,需人工处理'),
};

function delivery({ what, nodeId, templateId }: JourneyRecord): Said {
  const { english, chinese } = DELIVERIES[what] ?? say(what, what);
  const of = templateId === '' ? '' : ` (${templateId})`;
  return say(`${nodeId}${of}: ${english}`, `${nodeId}${of}:${chinese}`);
}
