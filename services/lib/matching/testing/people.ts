/** Random choices that are the same for the same seed (mulberry32). */
export class Dice {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** 0 to 1, 1 never. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  chance(p: number): boolean {
    return this.next() < p;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** The first ones often, the last ones seldom, as names are. */
  skewed<T>(list: readonly T[]): T {
    return list[Math.floor(list.length * this.next() ** 2)] as T;
  }

  shuffled(n: number): number[] {
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j] as number, order[i] as number];
    }
    return order;
  }
}

/** People of one language. */
export interface World {
  readonly columns: readonly string[];
  /** Indexes of what changes when somebody moves. */
  readonly address: readonly number[];
  person(dice: Dice): string[];
  /** Somebody who lives with `other`. */
  relative(dice: Dice, person: string[], other: readonly string[]): string[];
  /** Characters in use. */
  readonly characters: string;
}

const list = (text: string): string[] => text.trim().split(/\s+/);

const GIVEN = list(`
  emma jack olivia william sophie james chloe thomas emily joshua mia lachlan isabella samuel ella benjamin georgia daniel
  jessica matthew hannah liam sarah alexander lucy nicholas charlotte ryan amelia luke grace jacob zoe ethan holly harry madison
  oliver ruby noah lily max kayla connor maya isaac caitlin dylan erin harrison tara jake molly hayden bella toby abbey mitchell
  phoebe finn imogen jayden eliza riley stephanie kyle annabel jordan jasmine aidan rebecca zachary natalie angus victoria`);
const SURNAMES = list(`
  smith jones williams brown wilson taylor johnson white martin anderson thompson nguyen thomas walker harris lee ryan robinson
  kelly king davis wright evans roberts green hall wood jackson clarke patel khan lewis james phillips mason mitchell rose davies
  rodriguez cox alexander garden campbell edwards young clark allen collins adams scott turner hill moore ward watson morris
  stewart cooper baker murphy bell reid bennett russell gray hughes fraser marshall murray simpson kennedy shaw graham palmer
  webb ellis mcdonald burns henderson hunter matthews gordon knight barnes wallace chapman ross dixon hamilton fisher stone
  lawson barker crawford nelson harvey perry burke carter webster bishop fletcher armstrong weaver holt quinn lambert doyle`);
const ROOTS = list(`
  bar wil mon tar gol ken bur cal dar fen gar hal jin kor lan mer nor ox pen quil ros sand tul und vic wex yar zel brook cross
  lin mar tre pol car stan whit black red long`);
const ENDS = list(
  'ton ley field worth mont dale wood ville brook shire ham stead ford bridge hill port gate mere vale ridge',
);
const STREETS = list('street road place crescent avenue court drive circuit close lane');

const word = (dice: Dice) => dice.pick(ROOTS) + (dice.chance(0.3) ? dice.pick(ROOTS) : '') + dice.pick(ENDS);
const rare = (dice: Dice, names: readonly string[]) =>
  dice.chance(0.75) ? dice.skewed(names) : word(dice).slice(0, 9);
const date = (dice: Dice, sign = '') => {
  const two = (n: number) => String(n).padStart(2, '0');
  return [String(1920 + dice.below(85)), two(1 + dice.below(12)), two(1 + dice.below(28))].join(sign);
};

/** The columns of Febrl. Suburb and postcode go together, as they do in life. */
export const english: World = {
  columns: list('given_name surname street_number address_1 address_2 suburb postcode state date_of_birth'),
  address: [2, 3, 4, 5, 6, 7],
  characters: '',
  person(dice) {
    const place = new Dice(1 + dice.below(900));
    return [
      rare(dice, GIVEN),
      rare(dice, SURNAMES),
      String(1 + Math.floor(300 * dice.next() ** 2)),
      `${word(dice)} ${dice.skewed(STREETS)}`,
      dice.chance(0.4) ? '' : `${word(dice)} ${dice.pick(['park', 'lodge', 'farm', 'village', 'flats', 'house'])}`,
      word(place),
      String(2000 + place.below(5000)),
      place.skewed(['nsw', 'vic', 'qld', 'wa', 'sa', 'tas', 'act']),
      date(dice),
    ];
  },
  relative: (dice, person, other) =>
    person.map((own, f) => ((f === 1 ? dice.chance(0.7) : f >= 2 && f <= 7) ? (other[f] as string) : own)),
};

const FAMILY = [
  ...'王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢',
];
const NAMED =
  '伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华文玉兰红梅建国志辉鹏飞宇浩然欣怡子涵梓轩雨泽俊佳嘉慧晓小晨阳思琪诗雅若曦一诺博毅炜玮维薇微卫晴青清卿婷亭庭颖莹盈瑛';
const CITIES = list(
  '杭州 南京 苏州 广州 深圳 成都 武汉 西安 青岛 长沙 宁波 郑州 合肥 厦门 天津 重庆 上海 北京 大连 昆明',
);
const PROVINCES = list(
  '浙江 江苏 江苏 广东 广东 四川 湖北 陕西 山东 湖南 浙江 河南 安徽 福建 天津 重庆 上海 北京 辽宁 云南',
);
const PLACES = '中山解放人民建设和平新华文化长江黄河学府滨江望江凤起天目湖墅西湖东风友谊胜利光明幸福团结';
const ESTATES = list('花园 小区 公寓 家园 新村 嘉苑 华庭 名邸');

/** Chinese customers as shops have them: few fields, one of them a long address. */
export const chinese: World = {
  columns: list('姓名 手机号 生日 省份 城市 详细地址'),
  address: [3, 4, 5],
  characters: FAMILY.join('') + NAMED + PLACES,
  person(dice) {
    const named = [...NAMED];
    const two = [...PLACES];
    const city = dice.below(CITIES.length);
    const at = 2 * dice.below(two.length / 2);
    const street = `${two[at]}${two[at + 1]}${dice.pick(['路', '街', '大道', '东路', '西路'])}${1 + dice.below(999)}号`;
    const estate = `${dice.pick(two)}${dice.pick(named)}${dice.pick(ESTATES)}${1 + dice.below(30)}栋${1 + dice.below(4)}单元`;
    return [
      dice.skewed(FAMILY) + dice.pick(named) + (dice.chance(0.75) ? dice.pick(named) : ''),
      `1${dice.pick(['38', '39', '35', '86', '59', '77', '81'])}${String(dice.below(100_000_000)).padStart(8, '0')}`,
      date(dice, '-'),
      `${PROVINCES[city]}省`,
      `${CITIES[city]}市`,
      `${street}${estate}${dice.below(30) + 1}0${1 + dice.below(4)}室`,
    ];
  },
  relative: (dice, person, other) => {
    const sameName = dice.chance(0.6);
    const name = sameName ? (other[0] as string).charAt(0) + (person[0] as string).slice(1) : (person[0] as string);
    const samePhone = dice.chance(0.3);
    return person.map((own, f) => (f === 0 ? name : (f === 1 ? samePhone : f >= 3) ? (other[f] as string) : own));
  },
};
