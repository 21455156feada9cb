{{- define "portcullis.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "portcullis.selector" -}}
app.kubernetes.io/name: portcullis
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "portcullis.labels" -}}
{{ include "portcullis.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "portcullis.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "portcullis.configSecret" -}}
{{- default (printf "%s-config" (include "portcullis.name" .)) .Values.existingConfigSecret -}}
{{- end -}}

{{/* Refuses what would be found out by a pod that does not start. */}}
{{- define "portcullis.validate" -}}
{{- if eq .Values.ledger.kind "postgres" -}}
{{- if not (or .Values.ledger.postgres.url .Values.existingConfigSecret) -}}
{{- fail "ledger.postgres.url is missing: where is the database?" -}}
{{- end -}}
{{- if not .Values.masterKeySecret.name -}}
{{- fail "masterKeySecret.name is missing: gateways that share a database need the same master key" -}}
{{- end -}}
{{- if and .Values.newLedger (gt (int .Values.replicaCount) 1) -}}
{{- fail "newLedger needs replicaCount=1: only one gateway makes the ledger" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.adminTokenSecret.name) -}}
{{- fail "serviceMonitor needs adminTokenSecret: /metrics requires the administrator's token" -}}
{{- end -}}
{{- end -}}

{{/* The pod: the same for both kinds of ledger, but for the volume. */}}
{{- define "portcullis.pod" -}}
metadata:
  labels:
    {{- include "portcullis.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A changed configuration starts new pods.
    checksum/config: {{ include (print $.Template.BasePath "/config.yaml") . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "portcullis.name" . }}
  # Nothing here talks to Kubernetes.
  automountServiceAccountToken: false
  enableServiceLinks: false
  # After SIGTERM the gateway says on /readyz that it stops, and serves for lameDuckSeconds. So no preStop hook is needed, and the image
  # has no program that could wait.
  terminationGracePeriodSeconds: {{ add .Values.lameDuckSeconds .Values.graceSeconds 20 }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    # Always would let the group read the master key at each mount, and the gateway refuses such a file.
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: { type: RuntimeDefault }
  containers:
    - name: portcullis
      image: {{ include "portcullis.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - serve
        - --config
        - /etc/portcullis/portcullis.toml
        {{- if .Values.newLedger }}
        - --new-ledger
        {{- end }}
      env:
        - name: PORTCULLIS_LOG
          value: {{ .Values.log | quote }}
        - name: POD_NAME
          valueFrom: { fieldRef: { fieldPath: metadata.name } }
        {{- with .Values.masterKeySecret }}
        {{- if .name }}
        # Not a file: Kubernetes would let the group read it.
        - name: PORTCULLIS_MASTER_KEY
          valueFrom: { secretKeyRef: { name: {{ .name }}, key: {{ .key }} } }
        {{- end }}
        {{- end }}
        {{- if .Values.ledger.postgres.authoritiesSecret.name }}
        - name: SSL_CERT_FILE
          value: /etc/portcullis/authorities/{{ .Values.ledger.postgres.authoritiesSecret.key }}
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - { name: http, containerPort: 8480 }
        - { name: admin, containerPort: 8481 }
      startupProbe:
        httpGet: { path: /healthz, port: http }
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: { path: /healthz, port: http }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: http }
        periodSeconds: 3
        timeoutSeconds: 3
        failureThreshold: 2
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - { name: data, mountPath: /data }
        - { name: tmp, mountPath: /tmp }
        - { name: config, mountPath: /etc/portcullis/portcullis.toml, subPath: portcullis.toml, readOnly: true }
        {{- if .Values.adminTokenSecret.name }}
        - { name: admin-token, mountPath: /etc/portcullis/admin, readOnly: true }
        {{- end }}
        {{- if eq .Values.ledger.kind "postgres" }}
        {{- if .Values.ledger.postgres.passwordSecret.name }}
        - { name: database-password, mountPath: /etc/portcullis/database, readOnly: true }
        {{- end }}
        {{- if .Values.ledger.postgres.authoritiesSecret.name }}
        - { name: authorities, mountPath: /etc/portcullis/authorities, readOnly: true }
        {{- end }}
        {{- end }}
  volumes:
    {{- if eq .Values.ledger.kind "postgres" }}
    # Saved states and compiled plugins: they are made anew.
    - { name: data, emptyDir: {} }
    {{- if .Values.ledger.postgres.passwordSecret.name }}
    - name: database-password
      secret: { secretName: {{ .Values.ledger.postgres.passwordSecret.name }}, defaultMode: 0440 }
    {{- end }}
    {{- if .Values.ledger.postgres.authoritiesSecret.name }}
    - name: authorities
      secret: { secretName: {{ .Values.ledger.postgres.authoritiesSecret.name }}, defaultMode: 0440 }
    {{- end }}
    {{- end }}
    - { name: tmp, emptyDir: { sizeLimit: 1Gi } }
    - name: config
      secret: { secretName: {{ include "portcullis.configSecret" . }}, defaultMode: 0440 }
    {{- if .Values.adminTokenSecret.name }}
    - name: admin-token
      secret: { secretName: {{ .Values.adminTokenSecret.name }}, defaultMode: 0440 }
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- if .Values.topologySpreadConstraints }}
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "portcullis.selector" . | nindent 10 }}
    {{- end }}
{{- end -}}
