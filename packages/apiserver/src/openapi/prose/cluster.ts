/** What the documents say of networks, access, storage classes, admission and the API itself. See prose.ts for the form. */

export const CLUSTER_PROSE = `
networking.v1.Ingress	Leads HTTP from outside to Services, by host and path.
	spec	The rules.
	status	Where it can be reached.
networking.v1.IngressSpec	Where requests go.
	defaultBackend	Where requests go that no rule fits.
	ingressClassName	Which controller is meant, by its IngressClass; the default one unless said.
	rules	Rules by host.
	tls	Hosts that are served with TLS.
networking.v1.IngressRule	A rule for a host.
	host	The host: shop.example.com, *.example.com; any when empty.
networking.v1.IngressRuleValue	What the rule is about.
	http	Paths.
networking.v1.HTTPIngressRuleValue	Where paths go.
	paths	The paths.
networking.v1.HTTPIngressPath	Where a path goes.
	backend	Where.
	path	The path; begins with a slash.
	pathType	Exact; Prefix: segment by segment; ImplementationSpecific.
networking.v1.IngressBackend	Where requests go: one of these.
	resource	An object in the same namespace.
	service	A port of a Service.
networking.v1.IngressServiceBackend	A port of a Service.
	name	The Service.
	port	Its port.
networking.v1.ServiceBackendPort	A port: one of these.
	name	Its name.
	number	Its number.
networking.v1.IngressTLS	Hosts with a certificate.
	hosts	The hosts.
	secretName	The Secret with certificate and key, of type kubernetes.io/tls.
networking.v1.IngressStatus	What was made for an Ingress.
	loadBalancer	Where it can be reached.
networking.v1.IngressLoadBalancerStatus	Where an Ingress can be reached.
	ingress	The points.
networking.v1.IngressClass	A controller of Ingresses, and its settings.
	spec	The controller.
networking.v1.IngressClassSpec	A controller of Ingresses.
	controller	Its name: example.com/ingress. Cannot be changed.
	parameters	An object with its settings.
networking.v1.NetworkPolicy	Which traffic pods let in and out. Pods that no policy names let everything through.
	spec	The pods and the rules.
networking.v1.NetworkPolicySpec	Pods and rules.
	egress	What they may talk to; none when empty.
	ingress	Who may talk to them; nobody when empty.
	podSelector	The pods; all of the namespace when empty.
	policyTypes	Ingress, Egress or both. Ingress, and Egress where there are such rules, unless said.
networking.v1.NetworkPolicyIngressRule	Who may talk to the pods.
	from	Who; anybody when empty.
	ports	To which ports; all when empty.
networking.v1.NetworkPolicyEgressRule	What the pods may talk to.
	ports	Which ports; all when empty.
	to	Whom; anybody when empty.
networking.v1.NetworkPolicyPeer	One side of a connection.
	ipBlock	Addresses. Alone.
	namespaceSelector	Namespaces by labels; with podSelector, pods in them.
	podSelector	Pods by labels, in the same namespace unless namespaceSelector says otherwise.
networking.v1.NetworkPolicyPort	Ports.
	endPort	The last of a range.
	port	The number or name, or the first of a range.
	protocol	TCP, UDP or SCTP. TCP unless said.
networking.v1.IPBlock	Addresses.
	cidr	A network.
	except	Parts of it that are not meant.
networking.v1.IPAddress	An address that is taken.
	spec	By whom.
networking.v1.IPAddressSpec	Who has an address.
	parentRef	The Service.
networking.v1.ServiceCIDR	A network from which Services get their addresses.
	spec	The network.
	status	Whether it is in use.
networking.v1.ServiceCIDRSpec	A network.
	cidrs	One network of each family. Cannot be changed.
discovery.v1.EndpointSlice	Some of the addresses behind a Service.
	addressType	IPv4, IPv6 or FQDN. Cannot be changed.
	endpoints	The addresses.
	ports	The ports they all have.
discovery.v1.Endpoint	A pod or another address.
	addresses	Its addresses, of which clients use the first.
	conditions	Whether it is to be used.
	deprecatedTopology	No longer used.
	hints	Who should use it.
	hostname	Its host name.
	nodeName	Its node.
	targetRef	The pod.
	zone	Its zone.
discovery.v1.EndpointConditions	Whether an address is to be used.
	ready	It serves and is not on its way out. Unknown means yes.
	serving	It serves, on its way out or not.
	terminating	It is on its way out.
discovery.v1.EndpointHints	Who should use an address.
	forNodes	Clients on these nodes.
	forZones	Clients in these zones.
discovery.v1.EndpointPort	A port.
	appProtocol	What is spoken.
	name	The name of the Service's port.
	port	Its number.
	protocol	TCP, UDP or SCTP.
rbac.v1.Role	Rights in a namespace, to be bound to users.
	rules	The rights.
rbac.v1.ClusterRole	Rights in all namespaces and on what is in none, to be bound to users.
	aggregationRule	Other ClusterRoles whose rights make up this one; rules is then written by the control plane.
	rules	The rights.
rbac.v1.PolicyRule	Rights: verbs on resources, or on paths.
	apiGroups	The groups; the empty text for the core group, * for all.
	nonResourceURLs	Paths that are no resources: /healthz, /metrics/*. In ClusterRoles only.
	resourceNames	Names of objects; any when empty.
	resources	The resources, pods/log for a subresource, * for all.
	verbs	get, list, watch, create, update, patch, delete and others, * for all.
rbac.v1.AggregationRule	Which ClusterRoles make up another.
	clusterRoleSelectors	Labels of those.
rbac.v1.RoleBinding	Gives users the rights of a role in this namespace.
	roleRef	The Role or ClusterRole. Cannot be changed.
	subjects	Who gets them.
rbac.v1.ClusterRoleBinding	Gives users the rights of a ClusterRole everywhere.
	roleRef	The ClusterRole. Cannot be changed.
	subjects	Who gets them.
rbac.v1.RoleRef	A role.
	apiGroup	rbac.authorization.k8s.io.
	kind	Role or ClusterRole.
	name	Its name.
rbac.v1.Subject	A user, group or service account.
	apiGroup	rbac.authorization.k8s.io for users and groups, empty for service accounts.
	kind	User, Group or ServiceAccount.
	name	Its name.
	namespace	The service account's namespace.
storage.v1.StorageClass	A kind of storage that claims may ask for.
	allowVolumeExpansion	Volumes may be made larger.
	allowedTopologies	Where volumes may be made.
	mountOptions	Options of the mounts.
	parameters	What the provisioner wants to know. Cannot be changed.
	provisioner	Who makes the volumes. Cannot be changed.
	reclaimPolicy	What becomes of a volume when its claim goes: Delete or Retain. Delete unless said.
	volumeBindingMode	When the volume is made: Immediate, or WaitForFirstConsumer, when a pod needs it. Immediate unless said.
storage.v1.VolumeAttributesClass	Settings of volumes that may be changed while they are there.
	driverName	The CSI driver. Cannot be changed.
	parameters	The settings. Cannot be changed.
storage.v1.CSIDriver	A CSI driver and how it wants to be treated.
	spec	How.
storage.v1.CSIDriverSpec	How a CSI driver wants to be treated.
	attachRequired	Volumes are attached to nodes first. True unless said.
	fsGroupPolicy	Whether volumes are given to a pod's fsGroup: ReadWriteOnceWithFSType, File or None.
	podInfoOnMount	It is told which pod mounts.
	requiresRepublish	It is asked again and again to renew what it mounted.
	seLinuxMount	It can mount with an SELinux label.
	storageCapacity	It tells how much it can still make.
	tokenRequests	It is given tokens of the pods' service accounts.
	volumeLifecycleModes	Persistent, Ephemeral or both.
storage.v1.CSINode	The CSI drivers on a node.
	spec	The drivers.
storage.v1.CSINodeSpec	The CSI drivers on a node.
	drivers	The drivers.
storage.v1.CSINodeDriver	A CSI driver on a node.
	allocatable	How many volumes it takes there.
	name	Its name.
	nodeID	What it calls the node.
	topologyKeys	Labels that say where the node is.
storage.v1.CSIStorageCapacity	How much storage a CSI driver can still make in one place.
	capacity	How much.
	maximumVolumeSize	The largest volume.
	nodeTopology	Where.
	storageClassName	Of which class.
storage.v1.VolumeAttachment	A volume is to be attached to a node.
	spec	Which, to which.
	status	Whether it is.
storage.v1.VolumeAttachmentSpec	Which volume, to which node.
	attacher	The CSI driver.
	nodeName	The node.
	source	The volume.
storage.v1.VolumeAttachmentStatus	Whether it is attached.
	attachError	Why not.
	attached	It is.
	attachmentMetadata	What the driver says of it.
	detachError	Why it could not be detached.
certificates.v1.CertificateSigningRequest	Asks for a certificate to be signed.
	spec	What is to be signed, by whom.
	status	Whether it was approved, and the certificate.
certificates.v1.CertificateSigningRequestSpec	What is to be signed. Cannot be changed.
	expirationSeconds	How long it is wished to be good; at least 600.
	extra	What else is known of who asks. Set by the server.
	groups	The groups of who asks. Set by the server.
	request	The request (PKCS #10) as PEM, in base64.
	signerName	Who is to sign: kubernetes.io/kube-apiserver-client.
	uid	The uid of who asks. Set by the server.
	usages	What the certificate is for: client auth, digital signature.
	username	Who asks. Set by the server.
certificates.v1.CertificateSigningRequestStatus	What became of it.
	certificate	The certificate as PEM, in base64.
	conditions	Approved, Denied or Failed.
certificates.v1.CertificateSigningRequestCondition	=meta.v1.Condition
	lastUpdateTime	When it was last written.
authentication.v1.TokenRequest	Asks for a token of a service account.
authentication.v1.TokenRequestSpec	What token is wanted.
	audiences	Who is to accept it; the API server unless said.
	boundObjectRef	A pod, Secret or node: when that goes the token is worth nothing.
	expirationSeconds	How long it is to be good; 3600 unless said.
authentication.v1.TokenRequestStatus	A token.
	expirationTimestamp	Until when it is good.
	token	The token.
authentication.v1.TokenReview	Asks whose a token is.
authentication.v1.TokenReviewSpec	A token.
	audiences	Who wants to accept it.
	token	The token.
authentication.v1.TokenReviewStatus	Whose it is.
	audiences	For whom it is good.
	authenticated	It is good.
	error	Why it could not be checked.
	user	Who.
authentication.v1.SelfSubjectReview	Asks who one is.
authentication.v1.UserInfo	Who somebody is.
	extra	What else is known.
	groups	The groups.
	uid	The uid.
	username	The name.
authorization.v1.SubjectAccessReview	Asks whether somebody may do something.
authorization.v1.SelfSubjectAccessReview	Asks whether one may do something.
authorization.v1.LocalSubjectAccessReview	Asks whether somebody may do something in this namespace.
authorization.v1.SelfSubjectRulesReview	Asks what one may do in a namespace.
authorization.v1.SubjectAccessReviewSpec	Who wants to do what.
	extra	What else is known of who asks.
	groups	The groups.
	nonResourceAttributes	A path that is no resource.
	resourceAttributes	A resource.
	uid	The uid.
	user	The name.
authorization.v1.SelfSubjectAccessReviewSpec	What one wants to do.
	nonResourceAttributes	A path that is no resource.
	resourceAttributes	A resource.
authorization.v1.SubjectAccessReviewStatus	Whether it is allowed.
	allowed	It is.
	denied	It is refused for certain.
	evaluationError	What could not be found out.
	reason	Why.
authorization.v1.ResourceAttributes	What is done to which resource.
	fieldSelector	Restricted by fields.
	group	The group; * for all.
	labelSelector	Restricted by labels.
	name	The object; any when empty.
	namespace	The namespace; all when empty.
	resource	The resource; * for all.
	subresource	The subresource.
	verb	What is done.
	version	The version; * for all.
admissionregistration.v1.ValidatingWebhookConfiguration	Webhooks that are asked before something is written and may refuse.
	webhooks	The webhooks.
admissionregistration.v1.MutatingWebhookConfiguration	Webhooks that are asked before something is written and may change it.
	webhooks	The webhooks.
admissionregistration.v1.ValidatingWebhook	A webhook that may refuse.
	admissionReviewVersions	Versions of AdmissionReview that it knows, the best first.
	clientConfig	Where it is.
	failurePolicy	What a failure to ask it means: Fail or Ignore. Fail unless said.
	matchConditions	CEL expressions that all have to be true for it to be asked.
	matchPolicy	Whether a request to another version of the same resource counts: Equivalent or Exact. Equivalent unless said.
	name	Its name, with dots: check.example.com.
	namespaceSelector	In which namespaces, by labels.
	objectSelector	For which objects, by labels.
	rules	For which operations on which resources.
	sideEffects	Whether it does anything else: None or NoneOnDryRun.
	timeoutSeconds	How long it is waited for; 1 to 30, 10 unless said.
admissionregistration.v1.MutatingWebhook	=admissionregistration.v1.ValidatingWebhook
	reinvocationPolicy	Whether it is asked again when others changed the object: Never or IfNeeded. Never unless said.
admissionregistration.v1.WebhookClientConfig	Where a webhook is: a URL or a Service.
	caBundle	Certificates that check its own, as PEM in base64.
	service	The Service.
	url	The URL; https.
admissionregistration.v1.ServiceReference	A Service.
	name	Its name.
	namespace	Its namespace.
	path	The path.
	port	The port; 443 unless said.
admissionregistration.v1.Rule	Which resources.
	apiGroups	The groups; * for all.
	apiVersions	The versions; * for all.
	resources	The resources: pods, pods/*, */scale, *, */*.
	scope	Cluster, Namespaced or *. * unless said.
admissionregistration.v1.RuleWithOperations	Operations on resources.
	operations	CREATE, UPDATE, DELETE, CONNECT or *.
admissionregistration.v1.NamedRuleWithOperations	Operations on objects of certain names.
	resourceNames	The names; any when empty.
admissionregistration.v1.MatchCondition	A condition in CEL.
	expression	The expression: true or false. It sees object, oldObject, request and authorizer.
	name	Its name.
admissionregistration.v1.MatchResources	Which requests are meant.
	excludeResourceRules	Which of them are not.
	matchPolicy	Equivalent or Exact. Equivalent unless said.
	namespaceSelector	In which namespaces, by labels.
	objectSelector	For which objects, by labels.
	resourceRules	Which operations on which resources.
admissionregistration.v1.ValidatingAdmissionPolicy	Rules in CEL that objects have to meet. A binding puts them in force.
	spec	The rules.
	status	What was found wrong with them.
admissionregistration.v1.ValidatingAdmissionPolicySpec	Rules in CEL.
	auditAnnotations	What is noted in the audit log.
	failurePolicy	What an error in an expression means: Fail or Ignore. Fail unless said.
	matchConditions	Expressions that all have to be true for the rules to count.
	matchConstraints	For which requests.
	paramKind	The kind of the objects with parameters.
	validations	The rules.
	variables	Expressions with a name, for use in others.
admissionregistration.v1.Validation	A rule.
	expression	True for what is allowed.
	message	What is said to who is refused.
	messageExpression	The same, made by an expression.
	reason	Why: Invalid, Forbidden and their like.
admissionregistration.v1.ValidatingAdmissionPolicyBinding	Puts a policy in force.
	spec	Which, where, and with what consequence.
admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec	How a policy is in force.
	matchResources	For which requests, of those the policy is for.
	paramRef	The object with the parameters.
	policyName	The policy.
	validationActions	Deny, Warn, Audit.
admissionregistration.v1.MutatingAdmissionPolicy	Changes in CEL that are made to objects. A binding puts them in force.
admissionregistration.v1.MutatingAdmissionPolicyBinding	Puts a policy in force.
apiextensions.v1.CustomResourceDefinition	A kind of one's own.
	spec	Its names, its versions and their schemas.
	status	Whether it is served.
apiextensions.v1.CustomResourceDefinitionSpec	A kind of one's own.
	conversion	How objects go from one version to another.
	group	Its group: stable.example.com. Cannot be changed.
	names	Its names.
	preserveUnknownFields	No longer allowed to be true.
	scope	Namespaced or Cluster. Cannot be changed.
	versions	Its versions.
apiextensions.v1.CustomResourceDefinitionNames	The names of a kind.
	categories	Groups of resources it is got with: all.
	kind	The kind: CronTab.
	listKind	The kind of its lists: CronTabList unless said.
	plural	The name in paths: crontabs.
	shortNames	Shorter names for people: ct.
	singular	The singular: crontab unless said.
apiextensions.v1.CustomResourceDefinitionVersion	A version of a kind.
	additionalPrinterColumns	Columns of kubectl get.
	deprecated	Whoever uses it is warned.
	deprecationWarning	With these words.
	name	The version: v1.
	schema	What its objects look like.
	selectableFields	Fields that field selectors may name.
	served	It is served.
	storage	Objects are stored in it; exactly one version is so.
	subresources	Whether it has status and scale.
apiextensions.v1.CustomResourceDefinitionCondition	=meta.v1.Condition
apiregistration.v1.APIService	Who serves a group version: this server itself or another one.
	spec	Who.
	status	Whether it can be reached.
apiregistration.v1.APIServiceSpec	Who serves a group version.
	caBundle	Certificates that check that server's own, as PEM in base64.
	group	The group.
	groupPriorityMinimum	The group's place among the groups: the higher goes first.
	insecureSkipTLSVerify	Does not check that server's certificate.
	service	The Service of that server; absent for this one.
	version	The version.
	versionPriority	The version's place in the group: the higher goes first.
apiregistration.v1.ServiceReference	A Service.
	name	Its name.
	namespace	Its namespace.
	port	The port; 443 unless said.
apiregistration.v1.APIServiceStatus	Whether a server can be reached.
	conditions	Available.
apiregistration.v1.APIServiceCondition	=meta.v1.Condition
flowcontrol.v1.FlowSchema	Which requests belong together, and how important they are.
	spec	Which, and to which level they go.
	status	Whether that level is there.
flowcontrol.v1.FlowSchemaSpec	Which requests belong together.
	distinguisherMethod	What tells flows apart: ByUser or ByNamespace.
	matchingPrecedence	Of schemas that fit, the one with the lowest number counts. 1000 unless said.
	priorityLevelConfiguration	The level they go to.
	rules	Which requests.
flowcontrol.v1.FlowSchemaCondition	=meta.v1.Condition
flowcontrol.v1.PriorityLevelConfiguration	A level of importance: how many requests run at a time, and how many may wait.
	spec	The bounds.
flowcontrol.v1.PriorityLevelConfigurationSpec	The bounds of a level.
	exempt	For Exempt.
	limited	For Limited.
	type	Exempt: without bounds; Limited.
flowcontrol.v1.PriorityLevelConfigurationCondition	=meta.v1.Condition
`;
