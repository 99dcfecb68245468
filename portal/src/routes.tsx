// The table of pages: path, component, and who may see it. Pages are loaded on demand.

import { type ComponentType, type LazyExoticComponent, lazy } from 'react';
import {
  IconActivity,
  IconApi,
  IconBook2,
  IconChartBar,
  IconChartLine,
  IconCpu,
  IconFileText,
  IconGavel,
  IconHome,
  IconInbox,
  IconKey,
  IconListDetails,
  IconListSearch,
  IconMessage,
  IconPlugConnected,
  IconScale,
  IconServer,
  IconSettings,
  IconSpeakerphone,
  IconTag,
  IconUser,
  IconUsers,
} from './icons.ts';

type Who = 'everybody' | 'visitor' | 'member' | 'operator';

export interface Route {
  /** Under /portal. */
  readonly path: string;
  readonly who: Who;
  readonly page: LazyExoticComponent<ComponentType>;
  /** An operator who views the pages of a member sees it. */
  readonly inView?: true;
  /** Name in the navigation (`shell:nav.<name>`); undefined: not in the navigation. */
  readonly name?: string;
  readonly icon?: ComponentType<{ size?: number | string; stroke?: number | string }>;
}

export const routes: readonly Route[] = [
  { path: '/', who: 'visitor', page: lazy(() => import('./visitor/welcome.tsx')) },
  { path: '/apply', who: 'everybody', page: lazy(() => import('./visitor/apply.tsx')) },
  { path: '/sign-in', who: 'visitor', page: lazy(() => import('./visitor/sign-in.tsx')) },
  { path: '/setup', who: 'everybody', page: lazy(() => import('./visitor/setup.tsx')) },
  { path: '/reset', who: 'everybody', page: lazy(() => import('./visitor/reset.tsx')) },
  { path: '/trust', who: 'everybody', page: lazy(() => import('./visitor/trust.tsx')) },
  { path: '/confirm', who: 'everybody', page: lazy(() => import('./visitor/confirm.tsx')) },

  { path: '/status', who: 'everybody', page: lazy(() => import('./visitor/status.tsx')) },
  { path: '/help/:name', who: 'everybody', inView: true, page: lazy(() => import('./help/document.tsx')) },

  {
    path: '/home',
    who: 'member',
    inView: true,
    name: 'home',
    icon: IconHome,
    page: lazy(() => import('./member/home.tsx')),
  },
  {
    path: '/keys',
    who: 'member',
    inView: true,
    name: 'keys',
    icon: IconKey,
    page: lazy(() => import('./member/keys.tsx')),
  },
  {
    path: '/usage',
    who: 'member',
    inView: true,
    name: 'usage',
    icon: IconChartBar,
    page: lazy(() => import('./member/usage.tsx')),
  },
  {
    path: '/requests',
    who: 'member',
    inView: true,
    name: 'requests',
    icon: IconListSearch,
    page: lazy(() => import('./member/requests.tsx')),
  },
  { path: '/requests/:id', who: 'member', inView: true, page: lazy(() => import('./member/request.tsx')) },
  {
    path: '/playground',
    who: 'member',
    name: 'playground',
    icon: IconMessage,
    page: lazy(() => import('./member/playground.tsx')),
  },
  {
    path: '/reference',
    who: 'member',
    name: 'reference',
    icon: IconApi,
    page: lazy(() => import('./reference/reference.tsx')),
  },
  { path: '/me', who: 'member', name: 'me', icon: IconUser, page: lazy(() => import('./member/me.tsx')) },

  {
    path: '/operate',
    who: 'operator',
    name: 'overview',
    icon: IconActivity,
    page: lazy(() => import('./operator/overview.tsx')),
  },
  {
    path: '/operate/applications',
    who: 'operator',
    name: 'applications',
    icon: IconInbox,
    page: lazy(() => import('./operator/applications.tsx')),
  },
  {
    path: '/operate/accounts',
    who: 'operator',
    name: 'accounts',
    icon: IconUsers,
    page: lazy(() => import('./operator/accounts.tsx')),
  },
  { path: '/operate/accounts/:id', who: 'operator', page: lazy(() => import('./operator/account.tsx')) },
  {
    path: '/operate/keys',
    who: 'operator',
    name: 'allKeys',
    icon: IconKey,
    page: lazy(() => import('./operator/keys.tsx')),
  },
  {
    path: '/operate/plans',
    who: 'operator',
    name: 'plans',
    icon: IconBook2,
    page: lazy(() => import('./operator/plans.tsx')),
  },
  { path: '/operate/plans/:name', who: 'operator', page: lazy(() => import('./operator/plan.tsx')) },
  {
    path: '/operate/rules',
    who: 'operator',
    name: 'rules',
    icon: IconScale,
    page: lazy(() => import('./operator/rules.tsx')),
  },
  {
    path: '/operate/suspensions',
    who: 'operator',
    name: 'suspensions',
    icon: IconGavel,
    page: lazy(() => import('./operator/suspensions.tsx')),
  },
  {
    path: '/operate/usage',
    who: 'operator',
    name: 'allUsage',
    icon: IconListDetails,
    page: lazy(() => import('./operator/usage.tsx')),
  },
  {
    path: '/operate/requests',
    who: 'operator',
    name: 'allRequests',
    icon: IconListSearch,
    page: lazy(() => import('./operator/requests.tsx')),
  },
  {
    path: '/operate/latency',
    who: 'operator',
    name: 'latency',
    icon: IconChartLine,
    page: lazy(() => import('./operator/latency.tsx')),
  },
  { path: '/operate/requests/:id', who: 'operator', page: lazy(() => import('./operator/request.tsx')) },
  {
    path: '/operate/servers',
    who: 'operator',
    name: 'servers',
    icon: IconServer,
    page: lazy(() => import('./operator/servers.tsx')),
  },
  {
    path: '/operate/model-names',
    who: 'operator',
    name: 'modelNames',
    icon: IconTag,
    page: lazy(() => import('./operator/model-names.tsx')),
  },
  {
    path: '/operate/models',
    who: 'operator',
    name: 'models',
    icon: IconCpu,
    page: lazy(() => import('./operator/models.tsx')),
  },
  {
    path: '/operate/services',
    who: 'operator',
    name: 'services',
    icon: IconPlugConnected,
    page: lazy(() => import('./operator/services.tsx')),
  },
  {
    path: '/operate/notices',
    who: 'operator',
    name: 'notices',
    icon: IconSpeakerphone,
    page: lazy(() => import('./operator/notices.tsx')),
  },
  {
    path: '/operate/audit',
    who: 'operator',
    name: 'audit',
    icon: IconFileText,
    page: lazy(() => import('./operator/audit.tsx')),
  },
  { path: '/operate/audit/:id', who: 'operator', page: lazy(() => import('./operator/audit-event.tsx')) },
  {
    path: '/operate/settings',
    who: 'operator',
    name: 'settings',
    icon: IconSettings,
    page: lazy(() => import('./operator/settings.tsx')),
  },
];
