{{- $name := printf "%s-%s" .Release.Name .Values.controllerplugin.name }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  labels: {{- include "labels" . | nindent 4 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}-provisioner
  labels: {{- include "labels" . | nindent 4 }}
rules:
  - apiGroups: [""]
    resources: [persistentvolumes]
    verbs: [get, list, watch, create, delete]
  - apiGroups: [""]
    resources: [persistentvolumeclaims]
    verbs: [get, list, watch, update]
  - apiGroups: [storage.k8s.io]
    resources: [storageclasses]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}-provisioner
  labels: {{- include "labels" . | nindent 4 }}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ .Release.Namespace }}}
roleRef: {kind: ClusterRole, name: {{ $name }}-provisioner, apiGroup: rbac.authorization.k8s.io}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels: {{- include "labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.controllerplugin.replicas }}
  selector:
    matchLabels: {app: {{ .Chart.Name }}, component: controllerplugin, release: {{ .Release.Name }}}
  template:
    metadata:
      labels:
        {{- include "labels" . | nindent 8 }}
        component: controllerplugin
        release: {{ .Release.Name }}
    spec:
      serviceAccountName: {{ $name }}
      containers:
        - name: controllerplugin
          image: {{ include "image" . }}
          imagePullPolicy: {{ .Values.nodeplugin.plugin.image.pullPolicy }}
          command:
            - csi-cvmfsplugin
            - --role=controller
            - --drivername={{ .Values.csiDriverName }}
