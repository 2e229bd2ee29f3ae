# The agent in a container. Stage one does what bin/bootstrap.mjs does on a first start (install without install scripts,
# then build); stage two holds what an installed package holds, and runs as a user without rights.
#   docker build -t millrace .
#   docker run --rm -p 44444:44444 -p 41414:41414 millrace
#   docker run --rm -v "$PWD/my.conf:/etc/millrace/my.conf:ro" millrace agent --conf-file /etc/millrace/my.conf --name a1 \
#     -Dflume.root.logger=INFO,console -Dflume.monitoring.type=http
FROM node:22-slim AS build
WORKDIR /opt/millrace
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
COPY tsconfig.json tsconfig.build.json ./
COPY bin ./bin
COPY src ./src
RUN node bin/bootstrap.mjs --check && rm -f dist/.built
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error

FROM node:22-slim
ENV NODE_ENV=production
WORKDIR /opt/millrace
COPY --from=build /opt/millrace/package.json ./
COPY --from=build /opt/millrace/node_modules ./node_modules
COPY --from=build /opt/millrace/bin ./bin
COPY --from=build /opt/millrace/dist ./dist
COPY conf ./conf
COPY plugins ./plugins
RUN ln -s /opt/millrace/bin/flume-ng /usr/local/bin/flume-ng \
  && mkdir -p /var/lib/millrace \
  && chown node:node /var/lib/millrace
# Relative paths of a definition, ~/.flume and logs/ are below this directory.
ENV HOME=/var/lib/millrace
WORKDIR /var/lib/millrace
VOLUME /var/lib/millrace
USER node
EXPOSE 44444 41414
# 200 only while everything runs and moves; 503 otherwise, with the reasons in the body.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:41414/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["flume-ng"]
CMD ["agent", "--conf-file", "/opt/millrace/conf/example.conf", "--name", "a1", "-Dflume.root.logger=INFO,console", "-Dflume.monitoring.type=http", "-Dflume.monitoring.port=41414"]
