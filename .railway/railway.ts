// What Railway's own command reads: `railway config plan`, `railway config apply`. The package railway/iac is a part of that command.
import { defineRailway, preserve, project, service, volume } from 'railway/iac'

export default defineRailway(() => {
  const data = volume('holdline-data')

  const holdline = service('holdline', {
    build: { builder: 'DOCKERFILE', dockerfilePath: 'Dockerfile' },
    volumeMounts: { '/data': data },
    deploy: {
      // A volume has one owner at a time.
      numReplicas: 1,
      overlapSeconds: 0,
      requiredMountPath: '/data',
      // Whether the process answers; /health, which a full disk degrades, is for monitors.
      healthcheckPath: '/health/live',
      healthcheckTimeout: 120,
      drainingSeconds: 30,
      restartPolicyType: 'ON_FAILURE',
      restartPolicyMaxRetries: 10
    },
    env: {
      // Older environments have a private network of IPv6 alone; this one address serves both.
      HOST: '::',
      SHUTDOWN_GRACE_SECONDS: '25',
      // Secrets, and what depends on them, are set on the platform, and stay as they are there.
      API_KEY: preserve(),
      MODEL: preserve(),
      OPENAI_API_KEY: preserve(),
      ANTHROPIC_API_KEY: preserve()
    }
  })

  return project('holdline', { resources: [holdline, data] })
})
