/** What the documents say of the core group beside pods. See prose.ts for the form. */

export const CORE_PROSE = `
core.v1.Service	One name and address for a set of pods. Clients talk to it, it is passed on to a pod that is ready.
	spec	The ports, the pods behind them, and how the Service can be reached.
	status	The load balancer that was made, where one is.
core.v1.ServiceSpec	How a Service can be reached and who is behind it.
	allocateLoadBalancerNodePorts	Whether a LoadBalancer gets node ports as well. True unless said.
	clusterIP	The address inside the cluster: given by the server unless chosen; None for a Service without one, whose name leads to the pods themselves. Cannot be changed.
	clusterIPs	The addresses, one of each family; the first is clusterIP.
	externalIPs	Further addresses on which nodes accept traffic for the Service. Somebody else has to lead them there.
	externalName	The name this one stands for, for the type ExternalName: DNS answers with it.
	externalTrafficPolicy	Traffic from outside goes to any pod (Cluster), or to pods on the node it came to, with the client's address kept (Local).
	healthCheckNodePort	The port at which load balancers ask whether a node has pods, for externalTrafficPolicy Local.
	internalTrafficPolicy	Traffic from inside goes to any pod (Cluster) or to pods on the same node alone (Local).
	ipFamilies	IPv4, IPv6 or both, the first being the main one.
	ipFamilyPolicy	SingleStack, PreferDualStack or RequireDualStack.
	loadBalancerClass	Which kind of load balancer is meant; the cluster's own unless said. Cannot be changed.
	loadBalancerIP	An address to ask the load balancer for. Deprecated: implementations have annotations.
	loadBalancerSourceRanges	Networks whose clients the load balancer lets through.
	ports	The ports of the Service.
	publishNotReadyAddresses	Pods count before they are ready.
	selector	Labels of the pods behind it. Without it somebody else writes the endpoints.
	sessionAffinity	ClientIP sends a client to the same pod again; None unless said.
	sessionAffinityConfig	For how long.
	trafficDistribution	Which pods are preferred: PreferSameZone, PreferSameNode.
	type	ClusterIP: inside the cluster; NodePort: at a port of each node as well; LoadBalancer: at a load balancer as well; ExternalName: another name. ClusterIP unless said.
core.v1.ServicePort	A port of a Service.
	appProtocol	What is spoken: http, https, kubernetes.io/h2c, example.com/own.
	name	Its name; needed when there are several.
	nodePort	The port on each node, for NodePort and LoadBalancer; given by the server unless chosen.
	port	The port of the Service.
	protocol	TCP, UDP or SCTP. TCP unless said.
	targetPort	The number or name of the pods' port; the same as port unless said.
core.v1.ServiceStatus	What was made for a Service.
	conditions	Conditions of the Service.
	loadBalancer	Its load balancer.
core.v1.LoadBalancerStatus	A load balancer.
	ingress	Where it can be reached.
core.v1.LoadBalancerIngress	A point at which a load balancer can be reached.
	hostname	Its name.
	ip	Its address.
	ipMode	VIP or Proxy: whether the address reaches the nodes as it is.
	ports	Its ports.
core.v1.SessionAffinityConfig	For how long a client keeps its pod.
	clientIP	For clients by address.
core.v1.ClientIPConfig	For how long an address keeps its pod.
	timeoutSeconds	Up to 86400; 10800 unless said.
core.v1.ConfigMap	Settings for pods: texts and bytes by key. A megabyte at most.
	binaryData	Bytes by key, in base64. No key is in both.
	data	Texts by key.
	immutable	Nothing but the metadata can be changed any more.
core.v1.Secret	Data that not everybody is to see: passwords, tokens, keys. A megabyte at most.
	data	Bytes by key, in base64.
	immutable	Nothing but the metadata can be changed any more.
	stringData	Texts by key, written into data. Never answered.
	type	What it is for: Opaque, kubernetes.io/tls, kubernetes.io/dockerconfigjson and further ones, which want certain keys. Cannot be changed.
core.v1.Namespace	A room for names: objects in it go with it.
	spec	Who has to finish before the namespace goes.
	status	Whether the namespace is being deleted.
core.v1.NamespaceSpec	Who has to finish before a namespace goes.
	finalizers	Those who are not done: kubernetes stands for the objects in it.
core.v1.NamespaceStatus	The state of a namespace.
	conditions	What hinders its deletion.
	phase	Active or Terminating.
core.v1.NamespaceCondition	=meta.v1.Condition
core.v1.Node	A machine that runs pods.
	spec	Its pod network, its taints, whether it takes new pods.
	status	What it has, and how it fares; by its kubelet.
core.v1.NodeSpec	What is wanted of a node.
	configSource	No longer supported.
	externalID	No longer used.
	podCIDR	The network of its pods.
	podCIDRs	The networks of its pods, one of each family.
	providerID	Its id with the cloud provider.
	taints	What keeps pods away that do not tolerate it.
	unschedulable	It takes no new pods: cordoned.
core.v1.Taint	Keeps pods away from a node.
	effect	NoSchedule: no new pods; PreferNoSchedule: rather none; NoExecute: pods that run have to go as well.
	key	Its name.
	timeAdded	Since when, for NoExecute.
	value	Its value.
core.v1.NodeStatus	How a node fares.
	addresses	Its addresses and names.
	allocatable	What pods may have of its capacity.
	capacity	What it has.
	conditions	Ready, MemoryPressure, DiskPressure, PIDPressure, NetworkUnavailable.
	daemonEndpoints	Where its kubelet listens.
	features	What its runtime can do.
	images	Images that lie there.
	nodeInfo	Its system and versions.
	phase	No longer used.
	runtimeHandlers	What its runtime offers.
	volumesAttached	Volumes that are attached to it.
	volumesInUse	Volumes that are attached and in use.
core.v1.NodeCondition	=meta.v1.Condition
	lastHeartbeatTime	When it was last heard of.
core.v1.NodeAddress	An address of a node.
	address	The address or name.
	type	Hostname, InternalIP, ExternalIP, InternalDNS or ExternalDNS.
core.v1.NodeSystemInfo	What a node is.
	architecture	Its processor: amd64.
	bootID	Another one after each start.
	containerRuntimeVersion	Its runtime: containerd://2.1.
	kernelVersion	Its kernel.
	kubeProxyVersion	No longer used.
	kubeletVersion	Its kubelet.
	machineID	Its machine id.
	operatingSystem	linux or windows.
	osImage	Its distribution.
	swap	Its swap.
	systemUUID	Its firmware's id.
core.v1.PersistentVolume	A piece of storage in the cluster, made by an administrator or a storage class.
	spec	What it is, who may have it, what becomes of it.
	status	Whether it is claimed.
core.v1.PersistentVolumeSpec	What a volume is.
	accessModes	How it may be mounted.
	capacity	How large it is: storage.
	claimRef	The claim that has it.
	csi	A volume of a CSI driver.
	local	A directory or disk of a node.
	mountOptions	Options of the mount.
	nodeAffinity	The nodes from which it can be reached.
	persistentVolumeReclaimPolicy	What becomes of it when its claim goes: Retain, Delete or Recycle (deprecated).
	storageClassName	Its storage class.
	volumeAttributesClassName	Its VolumeAttributesClass.
	volumeMode	Filesystem or Block. Filesystem unless said.
core.v1.PersistentVolumeSource	=core.v1.VolumeSource
core.v1.PersistentVolumeStatus	The state of a volume.
	lastPhaseTransitionTime	When the phase last changed.
	message	For people: why it is in this state.
	phase	Pending, Available, Bound, Released or Failed.
	reason	For programs: why it failed.
core.v1.PersistentVolumeClaim	A wish for storage, which is bound to a PersistentVolume.
	spec	How much storage, of which class.
	status	Which volume it got.
core.v1.PersistentVolumeClaimSpec	What storage is wanted.
	accessModes	ReadWriteOnce: by one node; ReadOnlyMany, ReadWriteMany: by many; ReadWriteOncePod: by one pod.
	dataSource	What the volume is filled from: a snapshot, another claim.
	dataSourceRef	The same, for any kind of object.
	resources	How much: requests.storage. May be raised where the class allows it.
	selector	Labels of the volumes that come into question.
	storageClassName	The storage class; the default one when not set, none for the empty text.
	volumeAttributesClassName	The VolumeAttributesClass; may be changed.
	volumeMode	Filesystem or Block. Filesystem unless said.
	volumeName	The volume it is bound to.
core.v1.PersistentVolumeClaimStatus	The state of a claim.
	accessModes	How its volume may be mounted.
	allocatedResourceStatuses	How a change of size goes on.
	allocatedResources	The size that is being made.
	capacity	How large its volume is.
	conditions	Whether its volume is being resized.
	currentVolumeAttributesClassName	The VolumeAttributesClass its volume has.
	modifyVolumeStatus	How a change of that class goes on.
	phase	Pending, Bound or Lost.
core.v1.PersistentVolumeClaimCondition	=meta.v1.Condition
core.v1.PersistentVolumeClaimTemplate	What a claim that is made for a pod looks like.
	metadata	Its labels and annotations.
	spec	Its spec.
core.v1.VolumeResourceRequirements	=core.v1.ResourceRequirements
core.v1.ServiceAccount	Who a pod is to the API server.
	automountServiceAccountToken	Whether pods get a token of it by themselves. Pods may say otherwise.
	imagePullSecrets	Secrets with credentials for registries, for all pods that use it.
	secrets	Secrets that its pods may use; rarely needed.
core.v1.Event	Something that happened to an object. Gone after an hour or so.
	action	What was done.
	count	How often it happened.
	eventTime	When it was first seen.
	firstTimestamp	When it first happened.
	involvedObject	What it happened to.
	lastTimestamp	When it last happened.
	message	For people: what happened.
	reason	For programs: what happened, in one CamelCase word.
	related	Another object that has to do with it.
	reportingComponent	Who tells of it.
	reportingInstance	Which of those.
	series	Tells of one that goes on happening.
	source	Who tells of it, in the older form.
	type	Normal or Warning.
core.v1.EventSource	Who tells of an event.
	component	The component.
	host	The node it runs on.
core.v1.EventSeries	An event that goes on happening.
	count	How often it happened.
	lastObservedTime	When it last happened.
events.v1.Event	Something that happened to an object. Gone after an hour or so.
	action	What was done.
	deprecatedCount	For older clients: how often it happened.
	deprecatedFirstTimestamp	For older clients: when it first happened.
	deprecatedLastTimestamp	For older clients: when it last happened.
	deprecatedSource	For older clients: who tells of it.
	eventTime	When it was first seen.
	note	For people: what happened.
	reason	For programs: what happened, in one CamelCase word.
	regarding	What it happened to.
	related	Another object that has to do with it.
	reportingController	Who tells of it.
	reportingInstance	Which of those.
	series	Tells of one that goes on happening.
	type	Normal or Warning.
events.v1.EventSeries	=core.v1.EventSeries
core.v1.Endpoints	The addresses behind a Service, in the older form. Deprecated for EndpointSlice.
	subsets	Sets of addresses with the same ports.
core.v1.EndpointSubset	Addresses with the same ports.
	addresses	Those that are ready.
	notReadyAddresses	Those that are not.
	ports	Their ports.
core.v1.EndpointAddress	An address.
	hostname	Its host name.
	ip	The address.
	nodeName	Its node.
	targetRef	The pod it is of.
core.v1.EndpointPort	A port.
	appProtocol	What is spoken.
	name	The name of the Service's port.
	port	Its number.
	protocol	TCP, UDP or SCTP.
core.v1.ResourceQuota	How much all objects of a namespace may use together.
	spec	The bounds.
	status	The bounds and what is used.
core.v1.ResourceQuotaSpec	Bounds on a namespace.
	hard	The most of each: requests.cpu, limits.memory, pods, count/deployments.apps.
	scopeSelector	Which objects are counted, by scopes with values.
	scopes	Which objects are counted: Terminating, NotTerminating, BestEffort, NotBestEffort, PriorityClass, CrossNamespacePodAffinity.
core.v1.ResourceQuotaStatus	What is used.
	hard	The bounds that hold.
	used	What is used of each.
core.v1.LimitRange	Bounds and defaults for the amounts that single pods, containers and claims ask for.
	spec	The bounds.
core.v1.LimitRangeSpec	Bounds.
	limits	One for each kind of thing.
core.v1.LimitRangeItem	Bounds for one kind of thing.
	default	The limit a container gets that has none.
	defaultRequest	The request a container gets that has none.
	max	The most.
	maxLimitRequestRatio	The limit may be so many times the request.
	min	The least.
	type	Pod, Container or PersistentVolumeClaim.
core.v1.ReplicationController	Keeps a number of equal pods running. Deprecated for Deployments.
	spec	How many pods, and which.
	status	How many there are.
core.v1.ReplicationControllerSpec	=apps.v1.ReplicaSetSpec
core.v1.ReplicationControllerStatus	=apps.v1.ReplicaSetStatus
core.v1.ReplicationControllerCondition	=meta.v1.Condition
core.v1.ComponentStatus	How a part of the control plane fares. Deprecated.
	conditions	Whether it is healthy.
core.v1.TypedLocalObjectReference	An object in the same namespace.
	apiGroup	Its group; the core group when empty.
	kind	Its kind.
	name	Its name.
core.v1.TypedObjectReference	An object.
	apiGroup	Its group; the core group when empty.
	kind	Its kind.
	name	Its name.
	namespace	Its namespace; the same one unless said.
core.v1.SecretReference	A Secret.
	name	Its name.
	namespace	Its namespace.
`;
