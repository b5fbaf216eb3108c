package kernels

// LimitLanes is limitLanes, for tests.
var LimitLanes = limitLanes
