/** What the documents say of metadata, selectors, options and answers. See prose.ts for the form. */

export const META_PROSE = `
meta.v1.ObjectMeta	What every object has: its name, its place, its labels, and the server's notes on it.
	annotations	Free notes on the object, for tools and people; nothing selects by them. Keys look like example.com/note.
	creationTimestamp	CreationTimestamp is a timestamp: when the object was created, by the server's clock. Read-only.
	deletionGracePeriodSeconds	Seconds the object has left to end by itself once its deletion was asked for. Read-only.
	deletionTimestamp	When the object is to be gone. Set by a deletion; the object stays while it has finalizers or its grace period runs. Read-only.
	finalizers	Names of those who want to act before the object goes. It is removed once the list is empty; each takes its own name off.
	generateName	The beginning of a name: the server adds five random characters where no name is given.
	generation	Counts the changes of what is wanted (the spec). Read-only.
	labels	Names and values to select objects by: app=web. Services, controllers and queries match on them.
	managedFields	Which manager set which fields, by server-side apply and by updates. Kept by the server.
	name	The object's name, unique among its kind in a namespace. Cannot be changed.
	namespace	The namespace the object is in; empty for kinds that are in none. Cannot be changed.
	ownerReferences	The objects this one belongs to. When all of them are gone the garbage collector deletes it.
	resourceVersion	The version of the object in the store. An update that names another one is refused as a conflict. Compare it for equality alone.
	selfLink	No longer set.
	uid	Tells this object from any other, also from one of the same name before or after it. Read-only.
meta.v1.ListMeta	The state a list shows, and how to go on reading it.
	continue	The token that asks for the next page; empty at the end.
	remainingItemCount	How many objects the pages behind this one hold, where the server knows.
	resourceVersion	The version of the state that the list shows: watch from here.
	selfLink	No longer set.
	shardInfo	Which shard of the objects the list holds, where a shard was asked for.
meta.v1.OwnerReference	An object that this one belongs to, in the same namespace or in none.
	apiVersion	Group and version of the owner's kind.
	blockOwnerDeletion	A foreground deletion of the owner waits until this object is gone.
	controller	The owner is the controller that manages this object; at most one is.
	kind	The owner's kind.
	name	The owner's name.
	uid	The owner's uid: another object of the same name is no owner.
meta.v1.ManagedFieldsEntry	The fields that one manager set.
	apiVersion	The version of the kind in which the fields are named.
	fieldsType	How fieldsV1 is written: always FieldsV1.
	fieldsV1	The fields as a tree: f: before a field's name, k: before the key of a list's item, v: before a value of a set.
	manager	Who set them: kubectl, a controller.
	operation	Apply for a server-side apply, Update for anything else.
	subresource	The subresource through which they were set: status.
	time	When the set last changed.
meta.v1.LabelSelector	Which objects are meant, by their labels. All conditions have to hold; without any, every object is meant.
	matchExpressions	Conditions on labels.
	matchLabels	Labels and the values they must have.
meta.v1.LabelSelectorRequirement	A condition on one label.
	key	The label's name.
	operator	In, NotIn, Exists or DoesNotExist.
	values	The values for In and NotIn; empty for the others.
meta.v1.FieldSelectorRequirement	A condition on one field.
	key	The field.
	operator	In, NotIn, Exists or DoesNotExist.
	values	The values for In and NotIn.
meta.v1.Condition	One thing that is or is not the case with an object.
	lastTransitionTime	When status last became another.
	message	For people: what the matter is.
	observedGeneration	The generation of the spec that this was said of; older than metadata.generation means out of date.
	reason	For programs: why, in one CamelCase word.
	status	True, False or Unknown.
	type	What it is about: Available, Ready.
meta.v1.DeleteOptions	How an object is to be deleted.
	dryRun	With All the deletion is checked and nothing is removed.
	gracePeriodSeconds	Seconds the object has to end by itself; 0 removes it at once.
	ignoreStoreReadErrorWithClusterBreakingPotential	Removes an object that can no longer be read from the store. What depends on it may break.
	orphanDependents	Deprecated for propagationPolicy.
	preconditions	What must hold for the deletion to happen; a conflict else.
	propagationPolicy	What becomes of objects that this one owns: Orphan, Background or Foreground.
meta.v1.Preconditions	What must hold of the object.
	resourceVersion	The version it must have.
	uid	The uid it must have.
meta.v1.Status	The answer of a call that gives no object: success, or what went wrong.
	code	The HTTP status code.
	details	More about the failure: which object, which fields.
	message	For people: what happened.
	reason	For programs: NotFound, AlreadyExists, Conflict, Invalid, Forbidden and their like.
	status	Success or Failure.
meta.v1.StatusDetails	Which object a failure is about, and why.
	causes	The single faults, where there are several.
	group	The group of the kind.
	kind	The kind, or the resource where no kind is known.
	name	The name of the object.
	retryAfterSeconds	After how many seconds it makes sense to try again.
	uid	The uid of the object.
meta.v1.StatusCause	One fault.
	field	The field it is about, spec.containers[0].image.
	message	For people: what is wrong.
	reason	For programs: FieldValueInvalid, FieldValueRequired and their like.
meta.v1.WatchEvent	One change, as a watch tells it.
	object	The object after the change; for DELETED as it was last; for ERROR a Status; for BOOKMARK nothing but its version.
	type	ADDED, MODIFIED, DELETED, BOOKMARK or ERROR.
meta.v1.APIGroup	A group of the API and its versions.
	name	The group's name.
	preferredVersion	The version to use where nothing else is said.
	serverAddressByClientCIDRs	Where clients of which networks reach the server.
	versions	The versions that are served.
meta.v1.APIGroupList	All groups but the core one.
	groups	The groups.
meta.v1.APIVersions	The versions of the core group.
	serverAddressByClientCIDRs	Where clients of which networks reach the server.
	versions	The versions that are served.
meta.v1.APIResource	A resource of the API: a path under its group version.
	categories	Groups of resources it is got with: all.
	group	Its group, where it is another than the list's.
	kind	The kind of its objects.
	name	Its name in paths, a plural; a subresource's behind a slash.
	namespaced	Its objects are in namespaces.
	shortNames	Shorter names for people: po.
	singularName	Its singular.
	storageVersionHash	Tells in which version objects are stored: compare it for equality alone.
	verbs	What may be done: get, list, watch, create, update, patch, delete, deletecollection.
	version	Its version, where it is another than the list's.
meta.v1.APIResourceList	The resources of a group version.
	groupVersion	The group version.
	resources	The resources and subresources.
meta.v1.GroupVersionForDiscovery	A version of a group.
	groupVersion	Group and version, "apps/v1".
	version	The version alone.
meta.v1.ServerAddressByClientCIDR	Where clients of a network reach the server.
	clientCIDR	The network of the client.
	serverAddress	Host and port of the server.
io.k8s.apimachinery.pkg.apis.meta.v1.Time	A point in time, RFC 3339 in UTC with seconds: 2025-01-31T12:00:00Z.
io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime	A point in time, RFC 3339 in UTC with microseconds: 2025-01-31T12:00:00.000000Z.
io.k8s.apimachinery.pkg.apis.meta.v1.Patch	A patch, in the form that the content type names.
io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1	A set of fields as a tree.
io.k8s.apimachinery.pkg.api.resource.Quantity	An amount: a number with a suffix. Decimal: n, u, m, none, k, M, G, T, P, E. Binary: Ki, Mi, Gi, Ti, Pi, Ei. 500m is half of one, 1.5Gi is 1610612736.
io.k8s.apimachinery.pkg.util.intstr.IntOrString	A whole number or a text: a port's number or name, a count or a percentage.
io.k8s.apimachinery.pkg.runtime.RawExtension	Any object.
io.k8s.apimachinery.pkg.version.Info	What the server is.
`;
