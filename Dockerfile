# The function app on the official image. Built from the repository's root:
#   docker build -t millrace .
# Another Node: --build-arg NODE=24.
ARG NODE=22

FROM node:${NODE}-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run package

FROM mcr.microsoft.com/azure-functions/node:4-node${NODE}
ENV AzureWebJobsScriptRoot=/home/site/wwwroot \
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true \
    FUNCTIONS_WORKER_RUNTIME=node
COPY --from=build /src/dist/package /home/site/wwwroot
