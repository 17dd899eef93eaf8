/** A sentence for people, in the languages their staff read. */
export interface Said {
  readonly english: string;
  readonly chinese: string;
}

const say = (english: string, chinese: string): Said => ({ english, chinese });

/** Reasons the services record, in words. What authors wrote themselves (exit nodes) stands as it is. */
const REASONS: Readonly<Record<string, Said>> = {
  ok: say('nothing stood against it', '没有任何限制'),
  quiet_hours: say('it was quiet time where the customer lives', '客户所在地处于免打扰时段'),
  frequency_cap: say(
    'the customer had had as many marketing messages as the cap allows',
    '客户已达到营销消息的频次上限',
  ),
  no_address: say('there is no address for this channel', '该渠道没有可用的联系方式'),
  bad_address: say('the address is none the channel can reach', '该地址无法通过此渠道送达'),
  no_consent: say('the customer has not agreed to it, or took the consent back', '客户未同意接收,或已撤回同意'),
  suppressed: say('the address is suppressed after a bounce or a complaint', '该地址因退信或投诉被屏蔽'),
  template_missing: say('the template does not exist', '模板不存在'),
  channel_unsupported: say('nobody serves this channel', '没有可用的渠道服务'),
  variables_too_large: say('the data for the template is too large', '模板数据过大'),
  deferred_too_often: say('it was put off too often', '推迟次数过多'),
  too_many_under_way: say('too many messages to the customer were under way', '正在发送给该客户的消息过多'),
  too_late: say('quiet time began before it could go out', '发送前已进入免打扰时段'),
  already_in: say('the customer is in it already', '客户已在此旅程中'),
  reentry_never: say('whoever was in it once does not enter again', '进入过一次后不可再次进入'),
  journey_paused: say('the journey was paused', '旅程已暂停'),
  hold_out: say('the customer is in the hold-out, which gets nothing', '客户属于对照组,不接收任何内容'),
  universal_hold_out: say(
    'the customer is in the universal hold-out, which gets no marketing',
    '客户属于全局对照组,不接收任何营销消息',
  ),
  goal: say('the goal was reached', '已达成目标'),
  journey_stopped: say('the journey was stopped', '旅程已停止'),
  journey_deleted: say('the journey was deleted', '旅程已删除'),
  version_retired: say('so many versions came after that this one is no longer kept', '该版本过旧,已不再保留'),
  step_limit: say('the limit of steps was reached', '已达到步数上限'),
  merged: say('the customer turned out to be another one who is in it as well', '客户与另一位已在旅程中的客户合并'),
};

const PATTERNS: readonly (readonly [RegExp, (found: string) => Said])[] = [
  [
    /^reentry_after_(\d+)_days$/,
    (days) => say(`${days} days have to pass between two entries`, `两次进入须间隔 ${days} 天`),
  ],
  [/^exit_event: (.+)$/s, (name) => say(`“${name}” happened`, `发生了“${name}”`)],
  [/^entered_segment: (.+)$/s, (id) => say(`the customer entered segment ${id}`, `客户进入人群 ${id}`)],
  [/^outranked: (.+)$/s, (id) => say(`journey ${id} of the same group comes first`, `同组中的旅程 ${id} 优先`)],
  [
    /^expression_failed: (.+)$/s,
    (why) => say(`an expression of its trigger failed (${why})`, `触发条件的表达式求值失败(${why})`),
  ],
  [
    /^recalled: (.+)$/s,
    (why) => {
      const { english, chinese } = reasonInWords(why);
      return say(`it still waited when the journey ended: ${english}`, `消息尚在等待时旅程已结束:${chinese}`);
    },
  ],
  [/^exited_segment: (.+)$/s, (id) => say(`the customer left segment ${id}`, `客户离开人群 ${id}`)],
];

export function reasonInWords(reason: string): Said {
  const known = REASONS[reason];
  if (known !== undefined) return known;
  for (const [pattern, words] of PATTERNS) {
    const found = pattern.exec(reason)?.[1];
    if (found !== undefined) return words(found);
  }
  return say(reason, reason);
}

/** `: reason` after a sentence, or nothing. */
export function because(reason: string): Said {
  if (reason === '') return say('', '');
  const { english, chinese } = reasonInWords(reason);
  return say(`: ${english}`, `:${chinese}`);
}

export { say };
