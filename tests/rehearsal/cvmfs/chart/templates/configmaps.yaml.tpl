{{- range $name, $files := .Values.extraConfigMaps }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $name }}
  labels: {{- include "labels" $ | nindent 4 }}
data:
  {{- range $file, $text := $files }}
  {{ $file }}: {{ tpl (toYaml $text) $ | indent 2 }}
  {{- end }}
{{- end }}
{{- range .Values.nodeplugin.prefetcher.jobs }}
{{- if ne .schedule "* * * * *" }}{{ fail "the rehearsal's prefetcher runs every minute only" }}{{ end }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $.Release.Name }}-prefetcher-{{ .name }}
  labels: {{- include "labels" $ | nindent 4 }}
data:
  entrypoint.sh: |
    {{- tpl .script $ | nindent 4 }}
{{- end }}
