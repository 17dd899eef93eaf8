import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { DynamicModule } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import type { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import { MessagingServiceService } from '#gen/recur/messaging/v1/messaging_service.ts';
import { MessagingSettings, Template } from '#gen/recur/messaging/v1/template.ts';
import { clusterOf } from '#lib/boot/streams.ts';
import { CONFIG, FASTIFY, LOGGER, NATS, READINESS, REDIS, REGISTRY, RPC_SERVICES } from '#lib/boot/tokens.ts';
import { DefinitionStore } from '#lib/definitions/store.ts';
import { Uses } from '#lib/definitions/uses.ts';
import { watchDefinitions } from '#lib/definitions/watch.ts';
import { rpcService } from '#lib/rpc/service.ts';
import { Sealer } from '#lib/seal/sealer.ts';
import { untilAnswered } from '#lib/stream/jetstream.ts';
import { StateReader } from '#lib/stream/state-reader.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { type Channels, openChannels } from './channels/channels.ts';
import { Composer } from './channels/email/compose.ts';
import { SmtpTransport } from './channels/email/smtp.ts';
import { WecomChannel } from './channels/wecom/wecom.ts';
import { WecomResults } from './channels/wecom/wecom-results.ts';
import { Writer } from './channels/writer.ts';
import type { MessagingConfig } from './config.ts';
import type { AppKey } from './core/credentials.ts';
import { SETTINGS_KIND, TEMPLATE_KIND } from './core/definitions.ts';
import { settingsViolations } from './core/settings.ts';
import { EventWriter } from './links/event-writer.ts';
import { Links } from './links/mark-up.ts';
import { Routes } from './links/routes.ts';
import { Tokens } from './links/tokens.ts';
import { WechatPush } from './links/wechat-push.ts';
import type { WechatApp } from './links/wechat-receipts.ts';
import { WechatRoutes } from './links/wechat-routes.ts';
import { OutboxMetrics } from './outbox/metrics.ts';
import { Outbox } from './outbox/outbox.ts';
import { MjmlCompiler, mjmlFile } from './render/mjml/mjml.ts';
import { templateViolations } from './render/validate.ts';
import { CustomerMessages } from './rpc/customer-messages.ts';
import { MessagingRpc } from './rpc/messaging-rpc.ts';
import { Templates } from './rpc/templates.ts';
import { STAGE, stateCodec } from './stage.ts';
import { StageRunner } from './stage-runner.ts';
import { BegunMarks } from './store/begun-marks.ts';
import { SentIndex } from './store/sent-index.ts';
import { TaskLedger } from './store/task-ledger.ts';
import { TemplateLibrary } from './store/template-library.ts';

const CHANNELS = Symbol('channels');

/** The parts of messaging, and what each is made of. */
export const messagingModule = (_config: MessagingConfig): DynamicModule => ({
  module: class Messaging {},
  providers: [
    TemplateLibrary,
    {
      provide: SmtpTransport,
      inject: [CONFIG],
      useFactory: (c: MessagingConfig) => new SmtpTransport({ url: c.smtpUrl, connections: c.smtpConnections }),
    },
    {
      provide: Sealer,
      inject: [CONFIG],
      useFactory: ({ sealingKeys }: MessagingConfig) => new Sealer(sealingKeys),
    },
    { provide: MjmlCompiler, useFactory: () => new MjmlCompiler(mjmlFile(import.meta.dirname)) },
    { provide: Tokens, inject: [Sealer], useFactory: (sealer: Sealer) => new Tokens(sealer) },
    {
      provide: Writer,
      inject: [Sealer, TemplateLibrary, OutboxMetrics],
      useFactory: (sealer: Sealer, templates: TemplateLibrary, metrics: OutboxMetrics) =>
        new Writer({
          open: (sealed) => sealer.open(sealed).toString('utf8'),
          templates,
          onMissing: (template, variables) => metrics.missingVariables(template, variables),
        }),
    },
    { provide: OutboxMetrics, inject: [REGISTRY], useFactory: (registry: Registry) => new OutboxMetrics(registry) },
    {
      provide: Composer,
      inject: [CONFIG, Writer, Tokens],
      useFactory: (c: MessagingConfig, writer: Writer, tokens: Tokens) =>
        new Composer({ sender: c.sender, writer, tokens, links: linksOf(c, tokens) }),
    },
    { provide: EventWriter, inject: [NATS], useFactory: (nats: NatsConnection) => new EventWriter(nats) },
    {
      provide: Routes,
      inject: [CONFIG, Tokens, EventWriter, LOGGER, FASTIFY],
      useFactory: (c: MessagingConfig, tokens: Tokens, events: EventWriter, logger: Logger, fastify: FastifyInstance) =>
        new Routes({ tokens, events, logger, fastify, receiptSecrets: c.receiptSecrets, now: Date.now }),
    },
    {
      provide: SentIndex,
      inject: [REDIS, Tokens],
      useFactory: (redis: Redis, tokens: Tokens) => new SentIndex(redis, tokens, Date.now),
    },
    {
      provide: TaskLedger,
      inject: [REDIS, Tokens],
      useFactory: (redis: Redis, tokens: Tokens) => new TaskLedger(redis, tokens, Date.now),
    },
    {
      provide: WechatRoutes,
      inject: [CONFIG, SentIndex, Routes, LOGGER, FASTIFY],
      useFactory: (c: MessagingConfig, sent: SentIndex, routes: Routes, logger: Logger, fastify: FastifyInstance) =>
        new WechatRoutes({ apps: pushedBy(c), sent, store: routes.store, logger, fastify, now: Date.now }),
    },
    {
      provide: CHANNELS,
      inject: [CONFIG, Writer, Composer, SmtpTransport, Tokens, SentIndex, TaskLedger],
      useFactory: (
        c: MessagingConfig,
        writer: Writer,
        composer: Composer,
        transport: SmtpTransport,
        tokens: Tokens,
        sent: SentIndex,
        ledger: TaskLedger,
      ) => openChannels(c, { writer, composer, transport, tokens, links: linksOf(c, tokens), sent, ledger }),
    },
    {
      provide: WecomResults,
      inject: [CONFIG, CHANNELS, TaskLedger, Routes, LOGGER],
      useFactory: (c: MessagingConfig, channels: Channels, ledger: TaskLedger, routes: Routes, logger: Logger) => {
        const wecom = channels.get('wecom');
        const tasks = wecom instanceof WecomChannel ? wecom.tasks : undefined;
        return new WecomResults({
          tasks,
          ledger,
          store: routes.store,
          logger,
          now: Date.now,
          everyMs: c.wecom?.resultsMs,
        });
      },
    },
    {
      provide: Outbox,
      inject: [CONFIG, NATS, REDIS, LOGGER, OutboxMetrics, CHANNELS],
      useFactory: async (
        c: MessagingConfig,
        nats: NatsConnection,
        redis: Redis,
        logger: Logger,
        metrics: OutboxMetrics,
        channels: Channels,
      ) => {
        const manager = await jetstreamManager(nats, { checkAPI: false });
        return new Outbox({
          ...{ channels, logger, live: c.clock === 'live', now: Date.now },
          restoredMs: (await untilAnswered(() => clusterOf(manager), logger)).restoredMs,
          marks: new BegunMarks(redis, Date.now),
          metrics,
        });
      },
    },
    {
      provide: StageRunner,
      inject: [NATS, REDIS, CONFIG, LOGGER, REGISTRY, READINESS, TemplateLibrary, Outbox, CHANNELS],
      useFactory: (...parts: ConstructorParameters<typeof StageRunner>) => new StageRunner(...parts),
    },
    {
      provide: Uses,
      inject: [NATS, CONFIG, LOGGER],
      useFactory: async (nats: NatsConnection, { streamReplicas: replicas }: MessagingConfig, logger: Logger) => {
        const uses = new Uses();
        await uses.follow(watchDefinitions(nats, ['journey'], { replicas, logger }));
        return uses;
      },
    },
    {
      provide: RPC_SERVICES,
      inject: [
        NATS,
        REDIS,
        CONFIG,
        Uses,
        TemplateLibrary,
        Composer,
        SmtpTransport,
        CHANNELS,
        EventWriter,
        MjmlCompiler,
        Writer,
        Sealer,
      ],
      useFactory: async (
        nats: NatsConnection,
        redis: Redis,
        c: MessagingConfig,
        uses: Uses,
        library: TemplateLibrary,
        composer: Composer,
        transport: SmtpTransport,
        channels: Channels,
        events: EventWriter,
        mjml: MjmlCompiler,
        writer: Writer,
        sealer: Sealer,
      ) => {
        const { store, settings } = await openStores(nats, c);
        const states = new StateReader(STAGE, stateCodec, redis, c.partitions);
        const seal = (value: string) => sealer.seal(value);
        const templates = new Templates({
          ...{ store, uses, composer, transport, mjml, states, writer, channels, seal },
          settings: () => library.settings,
        });
        const messages = new CustomerMessages({
          states,
          ...{ events, channels: new Set(channels.keys()), shopTimeZone: c.shopTimeZone, now: Date.now },
          settings: () => library.settings,
        });
        return [rpcService(MessagingServiceService, new MessagingRpc({ templates, settings, messages }))];
      },
    },
  ],
});

/** On the event clock nobody reads what is sent: a click now would be an event of today among those of long ago. */
function linksOf({ publicUrl, clock }: MessagingConfig, tokens: Tokens): Links | undefined {
  return publicUrl !== undefined && clock === 'live' ? new Links(publicUrl, tokens) : undefined;
}

/** Apps that know us as their server. */
function pushedBy({ wechat: { account, mini } }: MessagingConfig): Map<WechatApp, WechatPush> {
  const apps = Object.entries({ account, mini }) as [WechatApp, AppKey | undefined][];
  return new Map(apps.flatMap(([app, key]) => (key?.push ? [[app, new WechatPush(key.id, key.push)]] : [])));
}

async function openStores(nats: NatsConnection, { streamReplicas: replicas }: MessagingConfig) {
  const [store, settings] = await Promise.all([
    DefinitionStore.open({ nats, kind: TEMPLATE_KIND, message: Template, replicas, validate: templateViolations }),
    DefinitionStore.open({
      nats,
      kind: SETTINGS_KIND,
      message: MessagingSettings,
      replicas,
      validate: settingsViolations,
    }),
  ]);
  return { store, settings };
}
