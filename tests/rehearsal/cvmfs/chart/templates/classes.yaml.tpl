---
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata:
  name: {{ .Values.csiDriverName }}
  labels: {{- include "labels" . | nindent 4 }}
spec:
  attachRequired: false
  podInfoOnMount: false
{{- if .Values.automountStorageClass.create }}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: {{ .Values.automountStorageClass.name }}
  labels: {{- include "labels" . | nindent 4 }}
provisioner: {{ .Values.csiDriverName }}
{{- end }}
{{- range .Values.specificRepositoryStorageClasses }}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: {{ .name }}
  labels: {{- include "labels" $ | nindent 4 }}
provisioner: {{ $.Values.csiDriverName }}
parameters:
  repository: {{ .repository }}
{{- end }}
