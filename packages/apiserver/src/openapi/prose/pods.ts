/** What the documents say of pods, containers and volumes. See prose.ts for the form. */

export const PODS_PROSE = `
core.v1.Pod	One or more containers that run together on one node, with one network address and common volumes. Mostly made by Deployments, Jobs and their kin.
	spec	The containers and how they are to run. Little of it can be changed once the pod is there.
	status	Where the pod runs and how it fares, as the kubelet sees it.
core.v1.PodTemplate	A template for pods, kept for whoever makes them.
	template	The template.
core.v1.PodTemplateSpec	What pods that are made from here look like.
	metadata	Labels and annotations of the pods. The labels have to match the owner's selector.
	spec	The pods' spec.
core.v1.PodSpec	The containers of a pod and how they are to run.
	activeDeadlineSeconds	Seconds after its start at which the pod is ended as failed. May be lowered, never raised.
	affinity	On which nodes, and beside which pods, the pod wants or has to run.
	automountServiceAccountToken	Whether a token of the service account is put into the containers. The service account's own word counts when this is not set.
	containers	The containers, at least one. They cannot be added or removed later.
	dnsConfig	Settings of the pod's resolver beyond what dnsPolicy gives.
	dnsPolicy	How names are resolved. ClusterFirst: by the cluster's DNS; ClusterFirstWithHostNet: the same for pods on the host's network; Default: as the node does; None: by dnsConfig alone.
	enableServiceLinks	Whether the namespace's Services are told as environment variables. True unless said.
	ephemeralContainers	Containers for looking into a running pod. Added through the subresource ephemeralcontainers alone, never restarted.
	hostAliases	Names to be added to the pod's /etc/hosts.
	hostIPC	Shares the host's IPC namespace.
	hostNetwork	Shares the host's network: the containers' ports are the node's.
	hostPID	Shares the host's process namespace.
	hostUsers	False puts the pod into a user namespace of its own, in which root is nobody outside.
	hostname	The pod's host name; its own name unless said.
	hostnameOverride	The pod's host name, whatever hostname, subdomain and setHostnameAsFQDN say.
	imagePullSecrets	Secrets with credentials for the registries of the images.
	initContainers	Containers that run before the others, one after the other, each to its end. One with restartPolicy Always goes on running beside the containers.
	nodeName	The node the pod is on. Set by the scheduler; whoever sets it passes the scheduler by.
	nodeSelector	Labels a node must have for the pod to run there.
	os	The operating system the containers need.
	overhead	What the runtime class takes beside the containers. Set from the RuntimeClass.
	preemptionPolicy	Whether the pod may push out pods of lower priority: PreemptLowerPriority or Never.
	priority	The pod's priority as a number, from its priority class: the higher is scheduled first.
	priorityClassName	The pod's priority class; system-node-critical and system-cluster-critical are the highest.
	readinessGates	Further conditions of the pod that must be true for it to count as ready.
	resourceClaims	Claims on devices that containers refer to by name.
	resources	What the pod as a whole asks for and may use.
	restartPolicy	What happens when a container ends: Always, OnFailure or Never. Always unless said.
	runtimeClassName	The RuntimeClass to run the pod with; the node's usual one when not set.
	schedulerName	Who chooses the node; default-scheduler unless said.
	schedulingGates	The pod is not scheduled while this list holds anything. Items may be removed, not added.
	securityContext	Users, groups and other security settings for the whole pod.
	serviceAccount	An older name of serviceAccountName.
	serviceAccountName	The service account the containers act as; default unless said.
	setHostnameAsFQDN	The host name is the pod's full name with its domain.
	shareProcessNamespace	The containers see each other's processes.
	subdomain	With it the pod's full name is HOSTNAME.SUBDOMAIN.NAMESPACE.svc.DOMAIN.
	terminationGracePeriodSeconds	Seconds the containers have between the signal to end and the one that ends them. 30 unless said.
	tolerations	Taints of nodes that do not keep the pod away.
	topologySpreadConstraints	How the pod is to be spread with others over zones, nodes and the like.
	volumes	Volumes that the containers may mount.
core.v1.PodStatus	How a pod fares. It may be older than the truth, as long as the node cannot be reached.
	conditions	PodScheduled, Initialized, ContainersReady, Ready and further ones.
	containerStatuses	How each container fares.
	ephemeralContainerStatuses	How each ephemeral container fares.
	hostIP	The node's address.
	hostIPs	The node's addresses, one of each family.
	initContainerStatuses	How each init container fares.
	message	For people: why the pod is in this state.
	nominatedNodeName	The node on which others are pushed out to make room for the pod.
	observedGeneration	The generation of the spec that this was said of.
	phase	Pending: not yet running; Running; Succeeded: all containers ended well; Failed: all ended, one of them badly; Unknown.
	podIP	The pod's address; empty before it has one.
	podIPs	The pod's addresses, one of each family.
	qosClass	Guaranteed, Burstable or BestEffort, by what the containers ask for: who goes first when memory runs out.
	reason	For programs: why the pod is in this state, as Evicted.
	resize	Whether a change of resources is under way. Told by conditions in newer versions.
	startTime	When the kubelet took the pod on.
core.v1.PodCondition	=meta.v1.Condition
	lastProbeTime	When the condition was last looked at.
core.v1.Container	A container of a pod: an image that is run, and with what.
	args	Arguments to the command; the image's own when not set. $(NAME) stands for a variable, $$(NAME) for itself.
	command	The program and its first arguments, in place of the image's entry point. No shell reads it. $(NAME) stands for a variable.
	env	Environment variables.
	envFrom	Where further environment variables come from. Those of env win, then those of later sources.
	image	The image to run, REGISTRY/NAME:TAG or with @DIGEST.
	imagePullPolicy	When the image is pulled: Always, IfNotPresent or Never. Always for images with the tag latest or none, else IfNotPresent.
	lifecycle	What is done after the container's start and before its end.
	livenessProbe	A check by which a container that hangs is found; it is restarted.
	name	The container's name, unique in the pod; a DNS label. Cannot be changed.
	ports	Ports the container listens on. Telling of them opens nothing, leaving them out closes nothing.
	readinessProbe	A check by which the container is found fit to serve; while it fails Services send it nothing.
	resizePolicy	Whether a change of an amount needs a restart of the container.
	resources	What the container asks for and may use.
	restartPolicy	Always makes an init container one that runs beside the others; containers may have rules of their own.
	restartPolicyRules	By exit code, whether the container is restarted.
	securityContext	Security settings of the container; they go before the pod's.
	startupProbe	A check by which the container is found to have started. Until it succeeds the other probes wait; when it fails the container is restarted.
	stdin	Keeps standard input open.
	stdinOnce	Closes standard input after the first client that attached has gone.
	terminationMessagePath	The file whose content becomes the message of the container's end. /dev/termination-log unless said.
	terminationMessagePolicy	File: the message is that file's; FallbackToLogsOnError: the end of the log where the file is empty and the container failed.
	tty	Gives the container a terminal.
	volumeDevices	Volumes that the container gets as block devices.
	volumeMounts	Volumes and where the container sees them.
	workingDir	The directory in which the command starts; the image's own when not set.
core.v1.EphemeralContainerCommon	=core.v1.Container
core.v1.EphemeralContainer	A container that is put into a running pod to look into it.
	targetContainerName	The container whose processes it sees.
core.v1.ContainerPort	A port a container listens on.
	containerPort	The number of the port, 1 to 65535.
	hostIP	The address of the host that hostPort is bound to.
	hostPort	A port of the host that leads to this one. Rarely needed.
	name	The port's name, unique in the pod: Services may refer to it.
	protocol	TCP, UDP or SCTP. TCP unless said.
core.v1.EnvVar	An environment variable.
	name	Its name.
	value	Its value. $(NAME) stands for the value of a variable that was defined before.
	valueFrom	Where its value comes from, instead of value.
core.v1.EnvVarSource	Where the value of a variable comes from.
	configMapKeyRef	A key of a ConfigMap.
	fieldRef	A field of the pod: metadata.name, metadata.namespace, metadata.labels['KEY'], spec.nodeName, status.podIP and a few more.
	fileKeyRef	A key of a file in a volume.
	resourceFieldRef	An amount of a container: limits.cpu, requests.memory and their like.
	secretKeyRef	A key of a Secret.
core.v1.EnvFromSource	Where a set of variables comes from.
	configMapRef	A ConfigMap: each key is a variable.
	prefix	Put before each name.
	secretRef	A Secret: each key is a variable.
core.v1.ConfigMapEnvSource	A ConfigMap whose keys are variables.
	name	Its name.
	optional	It need not be there.
core.v1.SecretEnvSource	A Secret whose keys are variables.
	name	Its name.
	optional	It need not be there.
core.v1.ConfigMapKeySelector	A key of a ConfigMap.
	key	The key.
	name	The ConfigMap's name.
	optional	The ConfigMap or the key need not be there.
core.v1.SecretKeySelector	A key of a Secret.
	key	The key.
	name	The Secret's name.
	optional	The Secret or the key need not be there.
core.v1.ObjectFieldSelector	A field of the object.
	apiVersion	The version in which the path is meant; v1 unless said.
	fieldPath	The path of the field.
core.v1.ResourceFieldSelector	An amount of a container.
	containerName	The container; its own where a container asks.
	divisor	The unit to tell it in; 1 unless said.
	resource	Which amount: limits.cpu.
core.v1.LocalObjectReference	An object in the same namespace.
	name	Its name.
core.v1.ObjectReference	An object.
	apiVersion	Its version.
	fieldPath	A part of it: spec.containers{web}.
	kind	Its kind.
	name	Its name.
	namespace	Its namespace.
	resourceVersion	The version of it that is meant.
	uid	Its uid.
core.v1.Probe	A check on a container, made again and again.
	failureThreshold	So many failures in a row are needed. 3 unless said.
	initialDelaySeconds	Seconds after the container's start before the first check.
	periodSeconds	Seconds from one check to the next. 10 unless said.
	successThreshold	So many successes in a row are needed after a failure. 1 unless said, and always for liveness and startup.
	terminationGracePeriodSeconds	Seconds the container has to end when the check fails, in place of the pod's.
	timeoutSeconds	Seconds after which a check has failed. 1 unless said.
core.v1.ProbeHandler	What is checked.
	exec	A command in the container: exit code 0 is a success.
	grpc	A call of the gRPC health service.
	httpGet	An HTTP request: status 200 to 399 is a success.
	tcpSocket	A connection: if it can be opened it is a success.
core.v1.Lifecycle	What is done at the ends of a container's life.
	postStart	Done right after the start, beside the command. A failure ends the container.
	preStop	Done before the container is told to end, within the grace period.
	stopSignal	The signal that tells the container to end; the image's own unless said.
core.v1.LifecycleHandler	What is done.
	exec	A command in the container.
	httpGet	An HTTP request.
	sleep	A pause.
	tcpSocket	No longer supported.
core.v1.SleepAction	A pause.
	seconds	How long.
core.v1.ExecAction	A command in the container.
	command	The program and its arguments; no shell reads them.
core.v1.HTTPGetAction	An HTTP request.
	host	The host to ask; the pod unless said.
	httpHeaders	Headers of the request.
	path	The path.
	port	The port's number or name.
	scheme	HTTP or HTTPS. HTTP unless said.
core.v1.HTTPHeader	A header of a request.
	name	Its name.
	value	Its value.
core.v1.TCPSocketAction	A connection.
	host	The host to connect to; the pod unless said.
	port	The port's number or name.
core.v1.GRPCAction	A call of the gRPC health service.
	port	The port's number.
	service	The service that is asked about; the server as a whole when empty.
core.v1.ResourceRequirements	What is asked for and what may be used.
	claims	Claims of the pod that this container uses.
	limits	The most that may be used: cpu is throttled, a container beyond its memory is killed.
	requests	What the scheduler keeps free on the node; the limits where not set.
core.v1.ContainerResizePolicy	What a change of an amount needs.
	resourceName	Of what: cpu or memory.
	restartPolicy	NotRequired or RestartContainer.
core.v1.SecurityContext	Security settings of a container; they go before the pod's.
	allowPrivilegeEscalation	Whether a process may gain more rights than its parent has.
	appArmorProfile	The AppArmor profile.
	capabilities	Linux capabilities to add and to drop.
	privileged	All rights that root on the host has.
	procMount	How /proc is mounted: Default or Unmasked.
	readOnlyRootFilesystem	The container's own file system cannot be written.
	runAsGroup	The group of the processes; the image's unless said.
	runAsNonRoot	The container is not started as user 0.
	runAsUser	The user of the processes; the image's unless said.
	seLinuxOptions	The SELinux context.
	seccompProfile	The seccomp profile.
	windowsOptions	Settings for Windows.
core.v1.Capabilities	Linux capabilities.
	add	To add.
	drop	To drop; ALL for all.
core.v1.PodSecurityContext	Security settings for all containers of a pod.
	appArmorProfile	The AppArmor profile.
	fsGroup	A group that the volumes belong to and the processes are in.
	fsGroupChangePolicy	When volumes are given to the group: Always, or OnRootMismatch where their root does not belong to it.
	runAsGroup	The group of the processes; the image's unless said.
	runAsNonRoot	Containers are not started as user 0.
	runAsUser	The user of the processes; the image's unless said.
	seLinuxChangePolicy	How volumes get their SELinux labels: Recursive or MountOption.
	seLinuxOptions	The SELinux context.
	seccompProfile	The seccomp profile.
	supplementalGroups	Further groups of the processes.
	supplementalGroupsPolicy	Whether the groups that the image gives its user count too: Merge or Strict.
	sysctls	Kernel settings of the pod.
	windowsOptions	Settings for Windows.
core.v1.SeccompProfile	Which system calls are let through.
	localhostProfile	A file on the node, for the type Localhost.
	type	RuntimeDefault, Unconfined or Localhost.
core.v1.AppArmorProfile	Which AppArmor profile is used.
	localhostProfile	A profile on the node, for the type Localhost.
	type	RuntimeDefault, Unconfined or Localhost.
core.v1.SELinuxOptions	An SELinux context.
	level	The level.
	role	The role.
	type	The type.
	user	The user.
core.v1.Sysctl	A kernel setting.
	name	Its name.
	value	Its value.
core.v1.Affinity	Where a pod wants or has to run.
	nodeAffinity	On which nodes.
	podAffinity	Beside which pods: in the same zone, on the same node.
	podAntiAffinity	Apart from which pods.
core.v1.NodeAffinity	On which nodes a pod wants or has to run.
	preferredDuringSchedulingIgnoredDuringExecution	Wishes: the node with the highest sum of weights is preferred.
	requiredDuringSchedulingIgnoredDuringExecution	What a node must have. A pod that runs stays when that changes.
core.v1.PodAffinity	Beside which pods a pod wants or has to run.
	preferredDuringSchedulingIgnoredDuringExecution	Wishes: the node with the highest sum of weights is preferred.
	requiredDuringSchedulingIgnoredDuringExecution	What must hold of the place. A pod that runs stays when that changes.
core.v1.PodAntiAffinity	=core.v1.PodAffinity
core.v1.PodAffinityTerm	Certain pods, and what counts as the same place.
	labelSelector	Which pods, by their labels.
	matchLabelKeys	Labels whose values are taken from the pod itself: with pod-template-hash, pods of the same revision.
	mismatchLabelKeys	Labels whose values must differ from the pod's own.
	namespaceSelector	In which namespaces, by their labels.
	namespaces	In which namespaces; the pod's own unless said.
	topologyKey	Nodes with the same value of this label are the same place: kubernetes.io/hostname, topology.kubernetes.io/zone.
core.v1.WeightedPodAffinityTerm	A wish and how strong it is.
	podAffinityTerm	The wish.
	weight	1 to 100.
core.v1.PreferredSchedulingTerm	A wish and how strong it is.
	preference	Which nodes are preferred.
	weight	1 to 100.
core.v1.NodeSelector	Which nodes are meant: those for which one of the terms holds.
	nodeSelectorTerms	The terms.
core.v1.NodeSelectorTerm	Conditions that all have to hold.
	matchExpressions	Conditions on labels.
	matchFields	Conditions on fields: metadata.name.
core.v1.NodeSelectorRequirement	A condition on a label or field.
	key	The label or field.
	operator	In, NotIn, Exists, DoesNotExist, Gt or Lt.
	values	The values; a single whole number for Gt and Lt.
core.v1.Toleration	A taint that does not keep the pod away.
	effect	NoSchedule, PreferNoSchedule or NoExecute; any when empty.
	key	The taint's key; with Exists and no key, any taint.
	operator	Equal or Exists; newer ones are Lt and Gt for numbers. Equal unless said.
	tolerationSeconds	For NoExecute: after so many seconds the pod has to go all the same. For ever unless said.
	value	The taint's value, for Equal.
core.v1.TopologySpreadConstraint	How evenly pods are to be spread over places.
	labelSelector	Which pods are counted.
	matchLabelKeys	Labels whose values are taken from the pod itself.
	maxSkew	By how many the fullest place may exceed the emptiest.
	minDomains	So many places at least, counting empty ones.
	nodeAffinityPolicy	Whether places the pod cannot run in count: Honor (no) or Ignore (yes).
	nodeTaintsPolicy	Whether nodes with taints count: Honor or Ignore.
	topologyKey	Nodes with the same value of this label are the same place.
	whenUnsatisfiable	DoNotSchedule: the pod waits; ScheduleAnyway: it is a wish.
core.v1.PodDNSConfig	Settings of a resolver.
	nameservers	Addresses of name servers.
	options	Options, ndots and their like.
	searches	Domains to search in.
core.v1.HostAlias	Names of an address in /etc/hosts.
	hostnames	The names.
	ip	The address.
core.v1.PodReadinessGate	A further condition for readiness.
	conditionType	The type of the condition.
core.v1.PodSchedulingGate	What a pod waits for before it is scheduled.
	name	Whose it is.
core.v1.PodOS	An operating system.
	name	linux or windows.
core.v1.PodIP	An address of a pod.
	ip	The address.
core.v1.HostIP	An address of a node.
	ip	The address.
core.v1.ContainerStatus	How a container fares.
	allocatedResources	What the node keeps for it.
	containerID	Its id in the runtime, TYPE://ID.
	image	The image that runs.
	imageID	The digest of that image.
	lastState	How the container before this one ended.
	name	Its name.
	ready	It is fit to serve.
	resources	What it asks for and may use at this moment.
	restartCount	How often it was restarted.
	started	Its startup probe has succeeded, or it has none and runs.
	state	What it does at this moment.
	stopSignal	The signal that tells it to end.
	user	The user its first process started as.
	volumeMounts	Its volumes.
core.v1.ContainerState	What a container does: one of three.
	running	It runs.
	terminated	It has ended.
	waiting	It is not yet running.
core.v1.ContainerStateWaiting	A container that is not yet running.
	message	For people: why.
	reason	For programs: ContainerCreating, ImagePullBackOff, CrashLoopBackOff.
core.v1.ContainerStateRunning	A container that runs.
	startedAt	Since when.
core.v1.ContainerStateTerminated	A container that has ended.
	containerID	Its id in the runtime.
	exitCode	Its exit code.
	finishedAt	When it ended.
	message	Its last words.
	reason	Completed, Error, OOMKilled.
	signal	The signal that ended it.
	startedAt	When it had started.
core.v1.VolumeMount	A volume and where a container sees it.
	mountPath	The path in the container.
	mountPropagation	Whether later mounts are seen on the other side: None, HostToContainer or Bidirectional.
	name	The volume's name.
	readOnly	It cannot be written.
	recursiveReadOnly	Nor can mounts below it: Disabled, IfPossible or Enabled.
	subPath	A path in the volume, instead of its root.
	subPathExpr	The same with $(NAME) for environment variables.
core.v1.VolumeDevice	A volume as a block device.
	devicePath	The path in the container.
	name	The volume's name.
core.v1.Volume	A volume of a pod: its name and, in one further field, what it is.
	name	The name by which containers refer to it.
core.v1.VolumeSource	What a volume is.
	awsElasticBlockStore	An EBS disk. Deprecated for CSI.
	azureDisk	An Azure disk. Deprecated for CSI.
	azureFile	An Azure file share. Deprecated for CSI.
	cephfs	CephFS. No longer supported.
	cinder	A Cinder disk. Deprecated for CSI.
	configMap	The keys of a ConfigMap as files.
	csi	A volume that a CSI driver makes for this pod.
	downwardAPI	Facts on the pod as files.
	emptyDir	An empty directory that lives as long as the pod.
	ephemeral	A claim that is made for the pod and goes with it.
	fc	A Fibre Channel disk.
	flexVolume	A volume of a driver on the node. Deprecated for CSI.
	flocker	Flocker. No longer supported.
	gcePersistentDisk	A GCE disk. Deprecated for CSI.
	gitRepo	A git repository. Deprecated: clone it in an init container.
	glusterfs	GlusterFS. No longer supported.
	hostPath	A path of the node. Gives the pod a hand in the host.
	image	The content of an image or artifact, read-only.
	iscsi	An iSCSI disk.
	nfs	An NFS export.
	persistentVolumeClaim	A volume that is claimed by a PersistentVolumeClaim.
	photonPersistentDisk	Photon. No longer supported.
	portworxVolume	A Portworx volume. Deprecated for CSI.
	projected	Several sources in one directory.
	quobyte	Quobyte. No longer supported.
	rbd	RBD. No longer supported.
	scaleIO	ScaleIO. No longer supported.
	secret	The keys of a Secret as files, kept in memory.
	storageos	StorageOS. No longer supported.
	vsphereVolume	A vSphere disk. Deprecated for CSI.
core.v1.SecretVolumeSource	The keys of a Secret as files.
	defaultMode	The files' mode; 0644 unless said.
	items	Which keys, and under which paths; all when not set.
	optional	The Secret or its keys need not be there.
	secretName	The Secret's name.
core.v1.ConfigMapVolumeSource	The keys of a ConfigMap as files.
	defaultMode	The files' mode; 0644 unless said.
	items	Which keys, and under which paths; all when not set.
	name	The ConfigMap's name.
	optional	The ConfigMap or its keys need not be there.
core.v1.KeyToPath	A key and the file it becomes.
	key	The key.
	mode	The file's mode.
	path	The file's path in the volume.
core.v1.EmptyDirVolumeSource	An empty directory.
	medium	Memory for a file system in memory, which counts as the containers' memory; the node's disk when empty.
	sizeLimit	The most it may hold: a pod beyond is evicted.
core.v1.HostPathVolumeSource	A path of the node.
	path	The path.
	type	What must be there, or is made: DirectoryOrCreate, Directory, FileOrCreate, File, Socket, CharDevice, BlockDevice; unchecked when empty.
core.v1.PersistentVolumeClaimVolumeSource	A volume that is claimed.
	claimName	The claim's name.
	readOnly	It is mounted read-only.
core.v1.ProjectedVolumeSource	Several sources in one directory.
	defaultMode	The files' mode; 0644 unless said.
	sources	The sources.
core.v1.VolumeProjection	A source in a common directory: one of these.
	clusterTrustBundle	Certificates of a ClusterTrustBundle.
	configMap	Keys of a ConfigMap.
	downwardAPI	Facts on the pod.
	podCertificate	A certificate and key made for the pod.
	secret	Keys of a Secret.
	serviceAccountToken	A token of the pod's service account.
core.v1.ServiceAccountTokenProjection	A token of the pod's service account, renewed before it ends.
	audience	Who is to accept it; the API server unless said.
	expirationSeconds	How long it is good; at least 600, 3600 unless said.
	path	The file's path in the volume.
core.v1.NFSVolumeSource	An NFS export.
	path	The exported path.
	readOnly	It is mounted read-only.
	server	The server's name or address.
core.v1.CSIVolumeSource	A volume that a CSI driver makes for a pod.
	driver	The driver's name.
	fsType	The file system; the driver's own unless said.
	nodePublishSecretRef	A Secret for the driver.
	readOnly	It is mounted read-only.
	volumeAttributes	What the driver wants to know.
core.v1.EphemeralVolumeSource	A claim made for a pod.
	volumeClaimTemplate	What the claim looks like. It is called POD-VOLUME and belongs to the pod.
core.v1.ImageVolumeSource	The content of an image or artifact.
	pullPolicy	When it is pulled: Always, IfNotPresent or Never.
	reference	The image.
core.v1.Binding	Puts a pod on a node; made by schedulers.
	target	The node.
policy.v1.Eviction	Asks for a pod to go, if its disruption budgets allow that.
	deleteOptions	How the pod is to be deleted.
`;
