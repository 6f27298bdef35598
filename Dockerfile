# Written for the classic builder and BuildKit alike: no RUN --mount, no COPY --chmod, no heredocs.
FROM golang:1.26 AS build
LABEL bcast.stage=build
ARG GOPROXY
# The empty home of the final image.
WORKDIR /out/home/bcast
WORKDIR /src
COPY go.mod go.sum ./
COPY third_party third_party
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/bcast ./cmd/bcast

FROM scratch
COPY --from=build /out/bcast /usr/local/bin/bcast
# Whom to believe when a hook calls an https address.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 /out/home /home
USER 65532:65532
# Mount a volume at /home/bcast to keep key and rooms; the directory below it is made by bcast, for its eyes only.
ENV BCAST_HOME=/home/bcast/state
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/local/bin/bcast", "status"]
ENTRYPOINT ["/usr/local/bin/bcast"]
CMD ["daemon", "--print", "--room", "lobby"]
