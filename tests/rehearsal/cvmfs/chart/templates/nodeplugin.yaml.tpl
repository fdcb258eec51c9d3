---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: {{ .Release.Name }}-{{ .Values.nodeplugin.name }}
  labels: {{- include "labels" . | nindent 4 }}
spec:
  updateStrategy: {{- toYaml .Values.nodeplugin.updateStrategySpec | nindent 4 }}
  selector:
    matchLabels: {app: {{ .Chart.Name }}, component: nodeplugin, release: {{ .Release.Name }}}
  template:
    metadata:
      labels:
        {{- include "labels" . | nindent 8 }}
        component: nodeplugin
        release: {{ .Release.Name }}
    spec:
      hostPID: {{ .Values.nodeplugin.hostPID }}
      priorityClassName: {{ .Values.nodeplugin.priorityClassName }}
      containers:
        - name: nodeplugin
          image: {{ include "image" . }}
          imagePullPolicy: {{ .Values.nodeplugin.plugin.image.pullPolicy }}
          command: [csi-cvmfsplugin, --role=node, --automount-startup-timeout={{ .Values.automountDaemonStartupTimeout }}]
          securityContext: {privileged: true}
          volumeMounts:
            - {name: plugins-dir, mountPath: {{ .Values.kubeletDirectory }}/plugins, mountPropagation: Bidirectional}
            - {name: pods-mount-dir, mountPath: /var/lib/kubelet/pods, mountPropagation: Bidirectional}
            - {name: flexvolume, mountPath: /usr/libexec/kubernetes/kubelet-plugins/volume/exec}
            - {name: autofs-root, mountPath: /cvmfs, mountPropagation: Bidirectional}
        - name: automount
          image: {{ include "image" . }}
          imagePullPolicy: {{ .Values.nodeplugin.plugin.image.pullPolicy }}
          command: [automount-runner, --unmount-timeout={{ .Values.automountDaemonUnmountTimeout }}]
          securityContext: {privileged: true}
          volumeMounts:
            - {name: host-dev, mountPath: /dev}
            - {name: autofs-root, mountPath: /cvmfs, mountPropagation: Bidirectional}
            - {name: cvmfs-localcache, mountPath: {{ .Values.cache.local.location }}}
            - {name: etc-cvmfs-default-conf, mountPath: /etc/cvmfs/default.local, subPath: default.local}
            - {name: etc-cvmfs-config-d, mountPath: /etc/cvmfs/config.d}
            - {name: etc-cvmfs-default-d, mountPath: /etc/cvmfs/default.d/90-local.conf, subPath: 90-local.conf}
        - name: automount-reconciler
          image: {{ include "image" . }}
          imagePullPolicy: {{ .Values.nodeplugin.plugin.image.pullPolicy }}
          command: [automount-reconciler, --period={{ .Values.automountReconcilePeriod }}]
          securityContext: {privileged: true}
          volumeMounts:
            - {name: autofs-root, mountPath: /cvmfs, mountPropagation: Bidirectional}
        {{- if .Values.nodeplugin.prefetcher.enabled }}
        {{- range .Values.nodeplugin.prefetcher.jobs }}
        - name: prefetcher-{{ .name }}
          image: {{ include "image" $ }}
          imagePullPolicy: {{ $.Values.nodeplugin.plugin.image.pullPolicy }}
          command: [every-minute, /etc/cvmfs-csi/prefetcher/entrypoint.sh]
          securityContext: {privileged: true}
          volumeMounts:
            - {name: autofs-root, mountPath: /cvmfs, mountPropagation: Bidirectional}
            - {name: prefetcher-{{ .name }}, mountPath: /etc/cvmfs-csi/prefetcher}
        {{- end }}
        {{- end }}
      volumes:
        - name: plugins-dir
          hostPath: {path: {{ .Values.kubeletDirectory }}/plugins}
        - name: pods-mount-dir
          hostPath: {path: {{ .Values.kubeletDirectory }}/pods, type: Directory}
        - name: flexvolume
          hostPath: {path: /usr/libexec/kubernetes/kubelet-plugins/volume/exec, type: DirectoryOrCreate}
        - name: host-dev
          hostPath: {path: /dev}
        - name: autofs-root
          hostPath: {path: {{ .Values.automountHostPath }}, type: DirectoryOrCreate}
        - name: cvmfs-localcache
          {{- toYaml .Values.cache.local.volumeSpec | nindent 10 }}
        - name: etc-cvmfs-default-conf
          configMap: {name: cvmfs-csi-default-local}
        - name: etc-cvmfs-config-d
          configMap: {name: cvmfs-csi-config-d}
        - name: etc-cvmfs-default-d
          configMap: {name: cvmfs-csi-default-d}
        {{- if .Values.nodeplugin.prefetcher.enabled }}
        {{- range .Values.nodeplugin.prefetcher.jobs }}
        - name: prefetcher-{{ .name }}
          configMap: {name: {{ $.Release.Name }}-prefetcher-{{ .name }}}
        {{- end }}
        {{- end }}
