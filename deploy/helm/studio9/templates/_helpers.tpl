{{- define "studio9.labels" -}}
app.kubernetes.io/name: {{ .service }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/part-of: studio9
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "studio9.selector" -}}
app.kubernetes.io/name: {{ .service }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "studio9.name" -}}
{{ printf "%s-%s" .root.Release.Name .service | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "studio9.image" -}}
{{- $image := .root.Values.image -}}
{{- $repository := ternary .service (printf "%s/%s" $image.registry .service) (empty $image.registry) -}}
{{- if .spec.digest -}}
{{ printf "%s@%s" $repository .spec.digest }}
{{- else -}}
{{ printf "%s:%s" $repository (default .root.Chart.AppVersion $image.tag) }}
{{- end -}}
{{- end }}

{{/* The container's environment: shared settings, addresses of the called services, then the service's own. */}}
{{- define "studio9.env" -}}
- { name: STUDIO9_INSTALLATION, value: {{ .root.Values.installation | quote }} }
- { name: STUDIO9_LOG_LEVEL, value: {{ .root.Values.logLevel | quote }} }
- { name: STUDIO9_LOG_FORMAT, value: json }
- { name: STUDIO9_HOST, value: "0.0.0.0" }
- { name: STUDIO9_PORT, value: "8080" }
- { name: STUDIO9_STATE_DIR, value: /var/lib/studio9 }
{{- with .spec.metricsPort }}
- { name: {{ printf "STUDIO9_%s_METRICS_PORT" (upper $.service) }}, value: {{ . | quote }} }
{{- end }}
{{- range .spec.calls }}
- { name: {{ printf "STUDIO9_%s_URL" (upper .) }}, value: {{ printf "http://%s-%s:8080" $.root.Release.Name . | quote }} }
{{- end }}
{{- range $name, $value := .spec.env }}
- { name: {{ $name }}, value: {{ $value | quote }} }
{{- end }}
{{- end }}

{{- define "studio9.container" -}}
name: {{ .service }}
image: {{ include "studio9.image" . | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
ports:
  - { name: http, containerPort: 8080, protocol: TCP }
  {{- with .spec.metricsPort }}
  - { name: metrics, containerPort: {{ . }}, protocol: TCP }
  {{- end }}
env:
  {{- include "studio9.env" . | nindent 2 }}
envFrom:
  - secretRef: { name: {{ .spec.secret }} }
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
startupProbe:
  httpGet: { path: /health, port: http }
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /health, port: http }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /ready, port: http }
  periodSeconds: 5
  timeoutSeconds: 5
resources:
  {{- toYaml .spec.resources | nindent 2 }}
volumeMounts:
  - { name: state, mountPath: /var/lib/studio9 }
  - { name: tmp, mountPath: /tmp }
{{- end }}

{{- define "studio9.metrics" -}}
prometheus.io/scrape: "true"
prometheus.io/path: /metrics
prometheus.io/port: {{ default 8080 .spec.metricsPort | quote }}
{{- end }}

{{- define "studio9.pod" -}}
serviceAccountName: {{ include "studio9.name" . }}
automountServiceAccountToken: false
securityContext:
  {{- toYaml .root.Values.podSecurity | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
