FROM node:24-slim AS build
# better-sqlite3 compiles itself where its prebuilt binary cannot be fetched
RUN apt-get update && apt-get install -y --no-install-recommends python3 make g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY plugins ./plugins
COPY routes ./routes
COPY deploy/slim-packages.sh ./deploy/
RUN npm run build \
  && npm prune --omit=dev --omit=peer --no-audit --no-fund \
  && sh deploy/slim-packages.sh node_modules \
  && find dist -name '*.map' -delete

# The system: Debian with its shell and tools, so that `docker exec … cat /data/sessions.csv` is one; Node.js without what only builds with it
FROM node:24-slim AS system
RUN rm -rf /usr/local/lib/node_modules /usr/local/include /usr/local/share/doc /usr/local/share/man /opt/yarn* \
    /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg \
    /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
  # a process that is no longer root finds no program that would make it root
  && find / -xdev -type f -perm /6000 -exec chmod a-s {} +

# One layer, or what was removed above would be carried along
FROM scratch
COPY --from=system / /
COPY --from=build /app/package.json /app/
COPY --from=build /app/node_modules /app/node_modules
COPY --from=build /app/dist /app/dist
# The operator's tool by a name, for `docker exec` and the consoles of platforms, which may lack what ENV says
RUN printf '%s\n' '#!/bin/sh' ': "${SESSIONS_CSV_PATH:=/data/sessions.csv}" "${RUN_AS:=1000:1000}"' 'export SESSIONS_CSV_PATH RUN_AS' \
    'exec node /app/dist/src/sessions-cli.js "$@"' > /usr/local/bin/sessions && chmod 755 /usr/local/bin/sessions
# before VOLUME, which would drop a later change of the folder; /tmp, since not every builder keeps its mode; .ssh for the consoles of platforms
RUN mkdir /data && chown 1000:1000 /data && chmod 700 /data && chmod 1777 /tmp && mkdir -p -m 700 /root/.ssh
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=8000 \
    SESSIONS_CSV_PATH=/data/sessions.csv \
    RUN_AS=1000:1000
LABEL org.opencontainers.image.title="Holdline" \
      org.opencontainers.image.description="The microservice between a chat and a LangGraph agent: sessions, turns and approvals, kept in a file you can cat" \
      org.opencontainers.image.licenses="MIT"
WORKDIR /app
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 8000) + '/health/live').then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# No USER: platforms mount volumes as root's, and only root can take one over. The service does that first, then becomes RUN_AS for good; started as
# another user, it stays that one.
# Not through npm, which does not hand signals on; by its whole path, so that an image made from this one may work in the folder of its agent.
CMD ["node", "/app/dist/src/server.js"]
