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
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:24-slim
# on all addresses, or nothing outside would reach it: so it does not start without API_KEY, unless AUTH=off says by name that anybody may call
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=8000 \
    SESSIONS_CSV_PATH=/data/sessions.csv
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# before VOLUME, which would drop a later change of the folder
RUN mkdir /data && chown node:node /data
VOLUME /data
USER node
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 8000) + '/health/live').then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# not through npm, which does not hand signals on; by its whole path, so that an image made from this one may work in the folder of its agent
CMD ["node", "/app/dist/src/server.js"]
