/** What the documents say of what keeps pods running: apps, batch, autoscaling, policy, scheduling. See prose.ts for the form. */

export const WORKLOADS_PROSE = `
apps.v1.Deployment	Keeps a number of equal pods running and replaces them step by step when their template changes.
	spec	How many pods, which, and how they are replaced.
	status	How many there are of each revision.
apps.v1.DeploymentSpec	What pods a Deployment keeps running.
	minReadySeconds	Seconds a new pod has to be ready before it counts as available. 0 unless said.
	paused	Changes of the template wait until this is taken away.
	progressDeadlineSeconds	Seconds without progress after which a rollout is told to have failed. 600 unless said.
	replicas	How many pods. 1 unless said; 0 for none.
	revisionHistoryLimit	How many older ReplicaSets are kept to go back to. 10 unless said.
	selector	Which pods are its own, by their labels. Has to match the template's labels. Cannot be changed.
	strategy	How pods are replaced by new ones.
	template	What its pods look like. A change of it starts a rollout.
apps.v1.DeploymentStrategy	How pods are replaced by new ones.
	rollingUpdate	How many at a time, for RollingUpdate.
	type	RollingUpdate: step by step; Recreate: all old ones go before the first new one comes. RollingUpdate unless said.
apps.v1.RollingUpdateDeployment	How many pods at a time are replaced.
	maxSurge	By how many pods the wished number may be exceeded, as a number or a percentage (rounded up). 25% unless said.
	maxUnavailable	How many pods of the wished number may be missing, as a number or a percentage (rounded down). 25% unless said.
apps.v1.DeploymentStatus	How a rollout goes on.
	availableReplicas	Pods that have been ready for minReadySeconds.
	collisionCount	How often a name for a ReplicaSet was taken.
	conditions	Available, Progressing, ReplicaFailure.
	observedGeneration	The generation of the spec that the controller has seen.
	readyReplicas	Pods that are ready.
	replicas	Pods there are, of all revisions.
	terminatingReplicas	Pods that are on their way out.
	unavailableReplicas	Pods that are still missing or not available.
	updatedReplicas	Pods of the newest revision.
apps.v1.DeploymentCondition	=meta.v1.Condition
	lastUpdateTime	When it was last looked at.
apps.v1.ReplicaSet	Keeps a number of equal pods running. Mostly made by Deployments.
	spec	How many pods, and which.
	status	How many there are.
apps.v1.ReplicaSetSpec	What pods are kept running.
	minReadySeconds	Seconds a new pod has to be ready before it counts as available. 0 unless said.
	replicas	How many pods. 1 unless said.
	selector	Which pods are its own, by their labels. Cannot be changed.
	template	What new pods look like. A change of it leaves pods that run as they are.
apps.v1.ReplicaSetStatus	How many pods there are.
	availableReplicas	Pods that have been ready for minReadySeconds.
	conditions	ReplicaFailure.
	fullyLabeledReplicas	Pods with all labels of the template.
	observedGeneration	The generation of the spec that the controller has seen.
	readyReplicas	Pods that are ready.
	replicas	Pods there are.
	terminatingReplicas	Pods that are on their way out.
apps.v1.ReplicaSetCondition	=meta.v1.Condition
apps.v1.StatefulSet	Keeps pods running that have a name and storage of their own: web-0, web-1 and so on.
	spec	How many pods, which, with which storage.
	status	How many there are of each revision.
apps.v1.StatefulSetSpec	What pods a StatefulSet keeps running.
	minReadySeconds	Seconds a new pod has to be ready before it counts as available. 0 unless said.
	ordinals	From which number pods are counted.
	persistentVolumeClaimRetentionPolicy	What becomes of the claims of pods that go.
	podManagementPolicy	OrderedReady: one pod after the other; Parallel: all at once. OrderedReady unless said. Cannot be changed.
	replicas	How many pods. 1 unless said.
	revisionHistoryLimit	How many older revisions are kept. 10 unless said.
	selector	Which pods are its own, by their labels. Cannot be changed.
	serviceName	The Service without an address under which the pods have names: web-0.SERVICE. Cannot be changed.
	template	What its pods look like.
	updateStrategy	How pods are replaced when the template changes.
	volumeClaimTemplates	Claims that each pod gets of its own: NAME-web-0. Cannot be changed.
apps.v1.StatefulSetUpdateStrategy	How pods are replaced.
	rollingUpdate	How, for RollingUpdate.
	type	RollingUpdate: from the last to the first; OnDelete: when somebody deletes them. RollingUpdate unless said.
apps.v1.RollingUpdateStatefulSetStrategy	How pods are replaced one after the other.
	maxUnavailable	How many pods may be missing at a time, as a number or a percentage. 1 unless said.
	partition	Pods with a number below this one stay as they are. 0 unless said.
apps.v1.StatefulSetOrdinals	How pods are counted.
	start	The number of the first. 0 unless said.
apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy	What becomes of claims.
	whenDeleted	When the StatefulSet goes: Retain or Delete. Retain unless said.
	whenScaled	When a pod is no longer wanted: Retain or Delete. Retain unless said.
apps.v1.StatefulSetStatus	How many pods there are.
	availableReplicas	Pods that have been ready for minReadySeconds.
	collisionCount	How often a name for a revision was taken.
	conditions	Conditions of the set.
	currentReplicas	Pods of the revision that is being left.
	currentRevision	The revision that is being left.
	observedGeneration	The generation of the spec that the controller has seen.
	readyReplicas	Pods that are ready.
	replicas	Pods there are.
	updateRevision	The newest revision.
	updatedReplicas	Pods of the newest revision.
apps.v1.StatefulSetCondition	=meta.v1.Condition
apps.v1.DaemonSet	Keeps one pod running on each node, or on those that are chosen.
	spec	Which pods, on which nodes.
	status	On how many nodes it runs.
apps.v1.DaemonSetSpec	What pods a DaemonSet keeps running.
	minReadySeconds	Seconds a new pod has to be ready before it counts as available. 0 unless said.
	revisionHistoryLimit	How many older revisions are kept. 10 unless said.
	selector	Which pods are its own, by their labels. Cannot be changed.
	template	What its pods look like; nodeSelector, affinity and tolerations say on which nodes.
	updateStrategy	How pods are replaced when the template changes.
apps.v1.DaemonSetUpdateStrategy	How pods are replaced.
	rollingUpdate	How many at a time, for RollingUpdate.
	type	RollingUpdate or OnDelete. RollingUpdate unless said.
apps.v1.RollingUpdateDaemonSet	How many pods at a time are replaced.
	maxSurge	On how many nodes a new pod may run beside the old one, as a number or a percentage. 0 unless said.
	maxUnavailable	On how many nodes the pod may be missing, as a number or a percentage. 1 unless said.
apps.v1.DaemonSetStatus	On how many nodes the pod runs.
	collisionCount	How often a name for a revision was taken.
	conditions	Conditions of the set.
	currentNumberScheduled	Nodes that have the pod and should.
	desiredNumberScheduled	Nodes that should have the pod.
	numberAvailable	Nodes whose pod has been ready for minReadySeconds.
	numberMisscheduled	Nodes that have the pod and should not.
	numberReady	Nodes whose pod is ready.
	numberUnavailable	Nodes whose pod is missing or not available.
	observedGeneration	The generation of the spec that the controller has seen.
	updatedNumberScheduled	Nodes whose pod is of the newest revision.
apps.v1.DaemonSetCondition	=meta.v1.Condition
apps.v1.ControllerRevision	A state of a StatefulSet's or DaemonSet's template, kept to go back to.
	data	The state.
	revision	Its number.
batch.v1.Job	Runs pods until enough of them have ended well.
	spec	Which pods, how many, and what becomes of failures.
	status	How many have ended, and how.
batch.v1.JobSpec	What a Job runs.
	activeDeadlineSeconds	Seconds after its start at which the Job is ended as failed.
	backoffLimit	How many failures are tried again before the Job has failed. 6 unless said.
	backoffLimitPerIndex	The same for each index of an indexed Job.
	completionMode	NonIndexed: any pods; Indexed: one pod for each number from 0. NonIndexed unless said. Cannot be changed.
	completions	How many pods have to end well. With none, one that ends well ends the Job.
	managedBy	Who runs the Job, where it is not the cluster's own controller.
	manualSelector	The selector was written by hand. Not for daily use.
	maxFailedIndexes	How many indexes may fail before the Job has.
	parallelism	How many pods run at a time. 1 unless said.
	podFailurePolicy	Which failures end the Job, are ignored, or count.
	podReplacementPolicy	When a pod is replaced: TerminatingOrFailed or Failed.
	selector	Which pods are its own. Given by the server. Cannot be changed.
	successPolicy	When the Job has succeeded before all of it has.
	suspend	No pods run until this is taken away.
	template	What its pods look like; restartPolicy is Never or OnFailure. Cannot be changed.
	ttlSecondsAfterFinished	Seconds after its end at which the Job is deleted. It stays unless said.
batch.v1.JobStatus	How a Job goes on.
	active	Pods that run or are about to.
	completedIndexes	Indexes that have ended well: 0,3-5.
	completionTime	When it succeeded.
	conditions	Complete, Failed, Suspended and further ones.
	failed	Pods that have failed.
	failedIndexes	Indexes that have failed.
	ready	Pods that are ready.
	startTime	When it began.
	succeeded	Pods that have ended well.
	terminating	Pods that are on their way out.
	uncountedTerminatedPods	Pods that have ended and are not yet counted.
batch.v1.JobCondition	=meta.v1.Condition
	lastProbeTime	When the condition was last looked at.
batch.v1.PodFailurePolicy	What becomes of failures.
	rules	Rules: the first that fits counts.
batch.v1.PodFailurePolicyRule	What becomes of certain failures.
	action	FailJob, FailIndex, Ignore or Count.
	onExitCodes	Which exit codes are meant.
	onPodConditions	Which conditions of the pod are meant.
batch.v1.SuccessPolicy	When a Job has succeeded.
	rules	Rules: the first that fits counts.
batch.v1.CronJob	Makes a Job at certain times.
	spec	When, and which.
	status	When it last did.
batch.v1.CronJobSpec	When Jobs are made, and which.
	concurrencyPolicy	While the last Job runs: Allow another, Forbid it, or Replace the last. Allow unless said.
	failedJobsHistoryLimit	How many failed Jobs are kept. 1 unless said.
	jobTemplate	What its Jobs look like.
	schedule	When: minute, hour, day, month, weekday; or @hourly, @daily and their like.
	startingDeadlineSeconds	Seconds by which a Job may be late; after that this time is missed.
	successfulJobsHistoryLimit	How many Jobs that ended well are kept. 3 unless said.
	suspend	No Jobs are made until this is taken away.
	timeZone	In which time zone the times are meant: Europe/Berlin. The controller's own unless said.
batch.v1.CronJobStatus	When Jobs were made.
	active	Jobs that run.
	lastScheduleTime	When the last Job was made.
	lastSuccessfulTime	When a Job last ended well.
batch.v1.JobTemplateSpec	What Jobs look like.
	metadata	Their labels and annotations.
	spec	Their spec.
autoscaling.v1.Scale	How many pods of something are wanted: what kubectl scale reads and writes.
	spec	How many are wanted.
	status	How many there are.
autoscaling.v1.ScaleSpec	How many are wanted.
	replicas	How many pods.
autoscaling.v1.ScaleStatus	How many there are.
	replicas	How many pods.
	selector	Which pods, as the text of a selector.
autoscaling.v1.HorizontalPodAutoscaler	Changes the number of pods with their load, by CPU alone; autoscaling/v2 knows more.
	spec	What is scaled, and between which bounds.
	status	What was last decided.
autoscaling.v1.HorizontalPodAutoscalerSpec	What is scaled.
	maxReplicas	The most pods.
	minReplicas	The least pods. 1 unless said.
	scaleTargetRef	What is scaled.
	targetCPUUtilizationPercentage	The wished use of CPU, in per cent of what the pods ask for. 80 unless said.
autoscaling.v1.CrossVersionObjectReference	=autoscaling.v2.CrossVersionObjectReference
autoscaling.v2.HorizontalPodAutoscaler	Changes the number of pods with their load.
	spec	What is scaled, by which measures, between which bounds.
	status	What was last measured and decided.
autoscaling.v2.HorizontalPodAutoscalerSpec	What is scaled.
	behavior	How fast, up and down.
	maxReplicas	The most pods.
	metrics	The measures: the one that wants most pods counts. CPU at 80% unless said.
	minReplicas	The least pods. 1 unless said.
	scaleTargetRef	What is scaled: a Deployment, a StatefulSet, anything with a scale.
autoscaling.v2.HorizontalPodAutoscalerStatus	What was last decided.
	conditions	ScalingActive, AbleToScale, ScalingLimited.
	currentMetrics	What was last measured.
	currentReplicas	How many pods there are.
	desiredReplicas	How many are wanted.
	lastScaleTime	When the number was last changed.
	observedGeneration	The generation of the spec that the controller has seen.
autoscaling.v2.HorizontalPodAutoscalerCondition	=meta.v1.Condition
autoscaling.v2.CrossVersionObjectReference	An object, in any version of its kind.
	apiVersion	Group and version.
	kind	Its kind.
	name	Its name.
autoscaling.v2.MetricSpec	A measure: its type and the field of that type.
	containerResource	What one container of each pod uses.
	external	A number from outside the cluster.
	object	A number of one object.
	pods	A number of each pod, averaged.
	resource	What the pods use.
	type	Resource, ContainerResource, Pods, Object or External.
autoscaling.v2.ResourceMetricSource	What the pods use.
	name	cpu or memory.
	target	How much is wished.
autoscaling.v2.MetricTarget	How much is wished.
	averageUtilization	In per cent of what the pods ask for.
	averageValue	For each pod.
	type	Utilization, Value or AverageValue.
	value	In all.
autoscaling.v2.HorizontalPodAutoscalerBehavior	How fast the number changes.
	scaleDown	Downwards: after 300 seconds of calm, to any number, unless said.
	scaleUp	Upwards: at once, by 4 pods or to the double every 15 seconds, unless said.
autoscaling.v2.HPAScalingRules	How fast the number changes in one direction.
	policies	Bounds on a change.
	selectPolicy	Which of them counts: Max, Min, or Disabled for no change at all. Max unless said.
	stabilizationWindowSeconds	For so many seconds back the calmest wish counts.
	tolerance	How far from the wished value nothing is changed.
autoscaling.v2.HPAScalingPolicy	A bound on a change.
	periodSeconds	In so many seconds.
	type	Pods or Percent.
	value	So many.
policy.v1.PodDisruptionBudget	How many of certain pods may be missing because somebody drains nodes.
	spec	Which pods, and how many have to stay.
	status	How many may go at this moment.
policy.v1.PodDisruptionBudgetSpec	How many pods have to stay.
	maxUnavailable	How many may be missing, as a number or a percentage. Not together with minAvailable.
	minAvailable	How many have to stay, as a number or a percentage.
	selector	Which pods.
	unhealthyPodEvictionPolicy	Whether pods that are not ready may always go: IfHealthyBudget or AlwaysAllow.
policy.v1.PodDisruptionBudgetStatus	How many pods may go.
	conditions	DisruptionAllowed.
	currentHealthy	Pods that are ready.
	desiredHealthy	Pods that have to be.
	disruptedPods	Pods that are about to go, and since when.
	disruptionsAllowed	How many may go at this moment.
	expectedPods	Pods that are counted.
	observedGeneration	The generation of the spec that the controller has seen.
scheduling.v1.PriorityClass	A name for a priority: how important pods are against others.
	description	For people: what it is for.
	globalDefault	Pods that name no class have this one.
	preemptionPolicy	Whether its pods may push out others: PreemptLowerPriority or Never.
	value	The priority: the higher goes first.
node.v1.RuntimeClass	A way to run containers that pods may ask for.
	handler	What the node's runtime calls it. Cannot be changed.
	overhead	What it takes beside the containers.
	scheduling	On which nodes it is.
node.v1.Overhead	What is taken beside the containers.
	podFixed	For each pod.
node.v1.Scheduling	On which nodes it is.
	nodeSelector	Labels of those nodes.
	tolerations	Taints of those nodes.
coordination.v1.Lease	Who leads, or who is alive: held by one for a time, and renewed.
	spec	Who holds it, and until when.
coordination.v1.LeaseSpec	Who holds a lease.
	acquireTime	Since when.
	holderIdentity	Who.
	leaseDurationSeconds	For how long after it was renewed.
	leaseTransitions	How often it went to another.
	preferredHolder	Who is to get it next.
	renewTime	When it was last renewed.
	strategy	How the holder is chosen, where the server chooses.
resource.v1.ResourceClaim	A claim on devices, for pods.
	spec	Which devices.
	status	Which it got, and who uses them.
resource.v1.ResourceClaimSpec	Which devices are wanted. Cannot be changed.
	devices	The wishes.
resource.v1.DeviceClaim	Wishes for devices.
	config	Settings for drivers.
	constraints	What devices of several requests must have in common.
	requests	The requests.
resource.v1.DeviceRequest	A request for devices.
	exactly	What is wanted.
	firstAvailable	Alternatives, the best first.
	name	Its name.
resource.v1.ResourceClaimTemplate	What claims that are made for pods look like.
	spec	Their metadata and spec.
resource.v1.DeviceClass	A kind of device that claims may ask for.
	spec	Which devices belong to it.
resource.v1.DeviceClassSpec	Which devices belong to a class.
	config	Settings for drivers.
	extendedResourceName	The name under which pods may ask for it as a plain resource.
	selectors	Conditions on devices.
resource.v1.ResourceSlice	Devices of a node, as their driver tells of them.
	spec	The devices.
resource.v1.ResourceSliceSpec	Devices.
	allNodes	All nodes reach them.
	devices	The devices.
	driver	Their driver.
	nodeName	The node that has them.
	nodeSelector	The nodes that reach them.
	perDeviceNodeSelection	Each device says who reaches it.
	pool	The pool the slice is a part of.
	sharedCounters	What several devices share.
`;
