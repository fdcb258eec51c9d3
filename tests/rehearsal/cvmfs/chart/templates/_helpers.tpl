{{- define "labels" -}}
chart: {{ .Chart.Name }}-{{ .Chart.Version }}
heritage: {{ .Release.Service }}
app: {{ .Chart.Name }}
{{- end -}}
{{- define "image" -}}
{{ .Values.nodeplugin.plugin.image.repository }}:{{ .Values.nodeplugin.plugin.image.tag | default .Chart.AppVersion }}
{{- end -}}
